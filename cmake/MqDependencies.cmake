# Third-party packages: header-only ones but for zlib, yaml-cpp and Google Benchmark, each included from one part of the tree alone
# (tests/rules keeps it so) and none of them by the public headers.

# mq_package(<name> <header> <Debian package>)
macro(mq_package name header debian)
  set(MQ_PACKAGE_${name} "${header}" "${debian}")
endmacro()

mq_package(nlohmann_json nlohmann/json.hpp nlohmann-json3-dev)
mq_package(xxhash xxhash.h libxxhash-dev)
mq_package(xsimd xsimd/xsimd.hpp libxsimd-dev)
mq_package(eigen Eigen/Core libeigen3-dev)
mq_package(cli11 CLI/CLI.hpp libcli11-dev)
mq_package(doctest doctest/doctest.h doctest-dev)

# Lets the sources of a target include the headers of the packages named.
function(mq_use target)
  foreach(name IN LISTS ARGN)
    list(GET MQ_PACKAGE_${name} 0 header)
    list(GET MQ_PACKAGE_${name} 1 debian)
    find_path(MQ_${name}_INCLUDE_DIR ${header} PATH_SUFFIXES eigen3 DOC "Folder that holds ${header}")
    mark_as_advanced(MQ_${name}_INCLUDE_DIR)
    if(NOT MQ_${name}_INCLUDE_DIR)
      message(FATAL_ERROR "${target} needs <${header}>, which is not on this machine. On Debian: "
                          "apt-get install ${debian}. Elsewhere: -DMQ_${name}_INCLUDE_DIR=FOLDER. "
                          "tools/setup.sh installs everything at once.")
    endif()
    target_include_directories(${target} SYSTEM PRIVATE ${MQ_${name}_INCLUDE_DIR})
  endforeach()
endfunction()

# Links Google Benchmark.
function(mq_use_benchmark target)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(FATAL_ERROR "${target} needs Google Benchmark. On Debian: apt-get install libbenchmark-dev. "
                        "Or leave the benchmarks out: -DMQ_BUILD_BENCH=OFF.")
  endif()
  target_link_libraries(${target} PRIVATE benchmark::benchmark)
endfunction()

# Lets the target inflate, if zlib is on this machine: header and static library, of which the sealed library takes in
# what it needs, so that its users need no zlib. Sets MQ_HAS_ZLIB.
function(mq_use_zlib target)
  find_path(MQ_zlib_INCLUDE_DIR zlib.h DOC "Folder that holds zlib.h")
  find_library(MQ_zlib_LIBRARY libz.a DOC "Static library of zlib")
  mark_as_advanced(MQ_zlib_INCLUDE_DIR MQ_zlib_LIBRARY)
  if(NOT MQ_zlib_INCLUDE_DIR OR NOT MQ_zlib_LIBRARY)
    message(STATUS "No zlib (on Debian: apt-get install zlib1g-dev): deflated archives will be refused by name")
    return()
  endif()
  target_include_directories(${target} SYSTEM PRIVATE ${MQ_zlib_INCLUDE_DIR})
  target_link_libraries(${target} PRIVATE ${MQ_zlib_LIBRARY})
  set_property(GLOBAL APPEND PROPERTY MQ_ABSORBED_LIBRARIES ${MQ_zlib_LIBRARY})
  set(MQ_HAS_ZLIB TRUE PARENT_SCOPE)
endfunction()

# Links yaml-cpp, the static library, into a program if it is on this machine. Sets MQ_HAS_YAML.
function(mq_use_yaml target)
  find_path(MQ_yaml_INCLUDE_DIR yaml-cpp/yaml.h DOC "Folder that holds yaml-cpp/yaml.h")
  find_library(MQ_yaml_LIBRARY libyaml-cpp.a DOC "Static library of yaml-cpp")
  mark_as_advanced(MQ_yaml_INCLUDE_DIR MQ_yaml_LIBRARY)
  if(NOT MQ_yaml_INCLUDE_DIR OR NOT MQ_yaml_LIBRARY)
    message(STATUS "No yaml-cpp (on Debian: apt-get install libyaml-cpp-dev): recipes in YAML will be refused by name")
    return()
  endif()
  target_include_directories(${target} SYSTEM PRIVATE ${MQ_yaml_INCLUDE_DIR})
  target_link_libraries(${target} PRIVATE ${MQ_yaml_LIBRARY})
  set(MQ_HAS_YAML TRUE PARENT_SCOPE)
endfunction()
