# What `cmake --install` copies: the library with its public headers and package files, and the tools.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mq)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/mq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(TARGETS ${MQ_INTERFACE_TARGET} EXPORT mqTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT mqTargets NAMESPACE mq:: DESTINATION ${package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/mqConfig.cmake.in ${PROJECT_BINARY_DIR}/mqConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
# Until 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/mqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/mqConfig.cmake ${PROJECT_BINARY_DIR}/mqConfigVersion.cmake
        DESTINATION ${package_dir})

if(TARGET mq-convert)
  install(TARGETS mq-convert RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
