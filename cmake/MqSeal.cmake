# mq::mq: the engine as one relocatable object in which only symbols of namespace mq are global.
#
# A static library has no export list. Compiled as it is, it would offer the linker its copies of every template it
# instantiates (nlohmann, xsimd, std), as weak symbols of the same names as the user's: the linker keeps one of the two,
# perhaps built for another instruction set or from another version of the package. Hidden visibility does not help, it
# takes effect later, when a shared library is linked from the archive. So all objects are joined and every symbol but
# ours is made local:
#   - by name, because that needs no export macro in the headers: functions and variables (_ZN2mq, _ZNK2mq), and what
#     inline code of the headers shares with its users: vtables, typeinfo (an mq::Error thrown here is caught there),
#     thunks, static locals and their guards;
#   - groups are dissolved while joining (--force-group-allocation): a linker drops a group whose name it has seen, no
#     matter that the symbol is local here, and the references to it would dangle;
#   - without STB_GNU_UNIQUE (-fno-gnu-unique), which objcopy leaves global.
# Third-party static libraries (MQ_ABSORBED_LIBRARIES) are joined with it, as far as the engine calls them.
# It costs that an archive of one member is linked whole; users who mind link with --gc-sections.
# Sanitizers register globals by group: there mq::mq is the plain engine.
function(mq_seal engine)
  if(MQ_INSTRUMENTED)
    set(interface ${engine})
  else()
    get_property(isa_targets GLOBAL PROPERTY MQ_ISA_TARGETS)
    foreach(target IN ITEMS ${engine} ${isa_targets})
      target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
      # Objects must hold machine code to be joined by the linker alone.
      set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    endforeach()
    # Not CMAKE_LINKER: that may be lld, whose -r has no --force-group-allocation before version 18.
    find_program(MQ_LD NAMES ${CMAKE_CXX_COMPILER_TARGET}-ld.bfd ${_CMAKE_TOOLCHAIN_PREFIX}ld.bfd ld.bfd)
    find_program(MQ_OBJCOPY NAMES ${_CMAKE_TOOLCHAIN_PREFIX}objcopy objcopy)
    mark_as_advanced(MQ_LD MQ_OBJCOPY)
    if(NOT MQ_LD OR NOT MQ_OBJCOPY)
      message(FATAL_ERROR "mq needs GNU ld and objcopy to make its library. On Debian: apt-get install binutils.")
    endif()

    get_property(absorbed GLOBAL PROPERTY MQ_ABSORBED_LIBRARIES)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/sealed)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(
      OUTPUT ${folder}/mq.o
      COMMAND ${MQ_LD} -r --force-group-allocation -o ${folder}/joined.o --whole-archive $<TARGET_FILE:${engine}>
              --no-whole-archive ${absorbed}
      COMMAND ${MQ_OBJCOPY} --wildcard --keep-global-symbol=_ZN2mq* --keep-global-symbol=_ZNK2mq*
              --keep-global-symbol=_ZT[VITSC]N2mq* --keep-global-symbol=_ZT[hv]*_N2mq* --keep-global-symbol=_ZTc*_N2mq*
              --keep-global-symbol=_ZGVN2mq* --keep-global-symbol=_ZZN2mq* --keep-global-symbol=_ZZNK2mq*
              --keep-global-symbol=_ZGVZN2mq* --keep-global-symbol=_ZGVZNK2mq* ${folder}/joined.o ${folder}/mq.o
      COMMAND ${CMAKE_COMMAND} -E rm ${folder}/joined.o
      DEPENDS ${engine}
      COMMENT "Sealing libmq.a"
      VERBATIM)
    add_library(mq_sealed STATIC ${folder}/mq.o)
    set_source_files_properties(${folder}/mq.o PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    set_target_properties(mq_sealed PROPERTIES OUTPUT_NAME mq ARCHIVE_OUTPUT_DIRECTORY ${folder}
                                               LINKER_LANGUAGE CXX)
    target_include_directories(mq_sealed INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                   $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_compile_features(mq_sealed INTERFACE cxx_std_20)
    set(interface mq_sealed)
  endif()

  target_link_libraries(${interface} INTERFACE Threads::Threads)
  set_target_properties(${interface} PROPERTIES EXPORT_NAME mq)
  add_library(mq::mq ALIAS ${interface})
  set(MQ_INTERFACE_TARGET ${interface} PARENT_SCOPE)
endfunction()
