# cmake --install: the command, the library, the public headers, and truq-config.cmake, by which
# other CMake projects find them; the build folder holds one too, for plug-ins built beside it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(TRUQ_LINK_LIBRARIES)
foreach(library ${TRUQ_LIBRARIES})
  if(library MATCHES "^PkgConfig::(.*)")
    list(APPEND TRUQ_LINK_LIBRARIES ${${CMAKE_MATCH_1}_LINK_LIBRARIES})
  elseif(library STREQUAL "OpenMP::OpenMP_C")
    list(APPEND TRUQ_LINK_LIBRARIES ${OpenMP_C_LIBRARIES})
  elseif(library STREQUAL "MPI::MPI_C")
    list(APPEND TRUQ_LINK_LIBRARIES ${MPI_C_LIBRARIES})
  else()
    list(APPEND TRUQ_LINK_LIBRARIES ${library})
  endif()
endforeach()
list(APPEND TRUQ_LINK_LIBRARIES pthread m dl)
list(REMOVE_DUPLICATES TRUQ_LINK_LIBRARIES)

set(TRUQ_PREFIX ${CMAKE_BINARY_DIR})
set(TRUQ_HEADERS ${CMAKE_SOURCE_DIR}/include)
set(TRUQ_COMMAND ${CMAKE_BINARY_DIR}/truq)
set(TRUQ_LIBRARY ${CMAKE_BINARY_DIR}/libtruq.a)
configure_file(cmake/truq-config.cmake.in ${CMAKE_BINARY_DIR}/truq-config.cmake @ONLY)

set(truq_config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/truq)
file(RELATIVE_PATH truq_up /${truq_config_folder} /)
set(TRUQ_PREFIX "\${CMAKE_CURRENT_LIST_DIR}/${truq_up}")
set(TRUQ_HEADERS "\${truq_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}")
set(TRUQ_COMMAND "\${truq_PREFIX}/${CMAKE_INSTALL_BINDIR}/truq")
set(TRUQ_LIBRARY "\${truq_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libtruq.a")
configure_file(cmake/truq-config.cmake.in ${CMAKE_BINARY_DIR}/installed/truq-config.cmake @ONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/truq-config-version.cmake
  COMPATIBILITY SameMinorVersion)

install(TARGETS truq ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS truq_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/truq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_BINARY_DIR}/installed/truq-config.cmake ${CMAKE_BINARY_DIR}/truq-config-version.cmake
  DESTINATION ${truq_config_folder})
