# What every target of this project is compiled with. Flags belong to targets, never to the directory.
find_package(Threads REQUIRED)

include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)

# Whether objects hold what only a program of the same kind can link.
if(MQ_SANITIZE OR MQ_TSAN)
  set(MQ_INSTRUMENTED ON)
endif()
if(MQ_SANITIZE AND MQ_TSAN)
  message(FATAL_ERROR "MQ_SANITIZE and MQ_TSAN exclude each other")
endif()

# Language, arithmetic and warnings for a target of this project; it may include any header of the source tree.
function(mq_internal target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
                                             CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  # Sections per function: users who link with --gc-sections keep only what they call.
  target_compile_options(${target} PRIVATE -ffp-contract=off -ffunction-sections -fdata-sections -Wall -Wextra
                                           -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                           -Wno-missing-field-initializers -Wnon-virtual-dtor)
  # GCC 12 sees overlapping copies in every std::string concatenation at -O2.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(MQ_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(MQ_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    # GCC takes its own instrumentation for paths without a value, in the standard library's headers too.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  elseif(MQ_TSAN)
    target_compile_options(${target} PRIVATE -fsanitize=thread -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=thread)
  endif()
  mq_harden(${target})
endfunction()

# With MQ_PCH, what most sources of a target include, and more headers, is parsed once. Sources include what they use all
# the same: other builds do without.
function(mq_precompile target)
  if(MQ_PCH)
    # GCC 12 forgets that precompiled headers are the system's, and sees overflows in concatenations of std::string.
    target_compile_options(
      ${target} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>")
    target_precompile_headers(
      ${target}
      PRIVATE
      <algorithm>
      <array>
      <atomic>
      <chrono>
      <cmath>
      <cstdint>
      <cstring>
      <filesystem>
      <functional>
      <limits>
      <map>
      <memory>
      <mutex>
      <optional>
      <set>
      <span>
      <string>
      <string_view>
      <unordered_map>
      <utility>
      <vector>
      ${PROJECT_SOURCE_DIR}/include/mq/checkpoint.hpp
      ${ARGN})
  endif()
endfunction()

# What turns a bug of ours into a clean end: checked element access, checked copies, canaries, no jumps into the middle
# of functions, and in programs no writable tables of functions.
function(mq_harden target)
  target_compile_definitions(${target} PRIVATE _GLIBCXX_ASSERTIONS)
  target_compile_options(${target} PRIVATE -fstack-protector-strong)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(${target} PRIVATE -fcf-protection)
  endif()
  # The sanitizers have their own; without optimization it has no effect but a warning.
  if(NOT MQ_INSTRUMENTED)
    target_compile_options(${target} PRIVATE "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    target_link_options(${target} PRIVATE -Wl,-z,relro,-z,now,-z,noexecstack)
  endif()
endfunction()

# Counts, for libFuzzer, the edges that an input reaches. Programs that are no fuzzers run the same objects: what the
# counters call is there but does nothing. Kernels are left alone: their loops would drown what the readers do.
function(mq_instrument target)
  if(NOT MQ_FUZZ)
    return()
  endif()
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR NOT MQ_SANITIZE)
    message(FATAL_ERROR "MQ_FUZZ needs Clang and MQ_SANITIZE: cmake --preset fuzz")
  endif()
  target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
endfunction()

# A kernel table for one instruction set: kernels/isa/<name>.cpp with its own flags.
function(mq_add_isa name)
  add_library(mq_isa_${name} OBJECT ${PROJECT_SOURCE_DIR}/kernels/isa/${name}.cpp)
  mq_internal(mq_isa_${name})
  mq_use(mq_isa_${name} xsimd xxhash)
  # Their callers have checked what they are given, and their small functions would pay for a canary each.
  target_compile_options(mq_isa_${name} PRIVATE -O2 -fno-exceptions -fno-stack-protector ${ARGN})
  # Checks of every sum of a pointer take Clang minutes; what they would find, AddressSanitizer does.
  if(MQ_SANITIZE)
    target_compile_options(mq_isa_${name} PRIVATE -fno-sanitize=pointer-overflow)
  endif()
  target_sources(mq PRIVATE $<TARGET_OBJECTS:mq_isa_${name}>)
  set_property(GLOBAL APPEND PROPERTY MQ_ISA_TARGETS mq_isa_${name})
endfunction()
