# The rooms, lowest first, each with the third-party libraries that it alone sees.
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
pkg_check_modules(GRAPHVIZ REQUIRED IMPORTED_TARGET libgvc)
# its layout and its SVG writer, linked so that nothing is searched for at run time
find_library(GRAPHVIZ_DOT_LAYOUT gvplugin_dot_layout PATH_SUFFIXES graphviz REQUIRED)
find_library(GRAPHVIZ_CORE gvplugin_core PATH_SUFFIXES graphviz REQUIRED)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON) # they lie in a folder of their own
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)

set(TRUQ_LIBRARIES PkgConfig::PROTOBUFC PkgConfig::YAML PkgConfig::CJSON PkgConfig::LIBZIP PkgConfig::ZLIB
                   PkgConfig::SPNG PkgConfig::JPEG PkgConfig::GRAPHVIZ ${GRAPHVIZ_DOT_LAYOUT} ${GRAPHVIZ_CORE}
                   ${DNNL_LIBRARY} OpenMP::OpenMP_C)

tq_room(base)
tq_room(tensor PkgConfig::ZLIB)
tq_room(ir)
tq_room(quant)
tq_room(ops)
tq_room(rewrite)
tq_room(onnx PkgConfig::PROTOBUFC PkgConfig::CJSON)
# onnx.proto becomes C at build time; the numbers of newer dtypes and fields pass through it as they are.
find_program(PROTOC_C protoc-c REQUIRED)
find_path(ONNX_PROTO_FOLDER onnx/onnx.proto REQUIRED)
set(onnx_generated ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${onnx_generated})
add_custom_command(OUTPUT ${onnx_generated}/onnx.pb-c.c ${onnx_generated}/onnx.pb-c.h
  COMMAND ${PROTOC_C} --proto_path=${ONNX_PROTO_FOLDER}/onnx --c_out=${onnx_generated} onnx.proto
  DEPENDS ${ONNX_PROTO_FOLDER}/onnx/onnx.proto VERBATIM)
set_source_files_properties(${onnx_generated}/onnx.pb-c.c PROPERTIES COMPILE_OPTIONS -w)
target_sources(tq_onnx PRIVATE ${onnx_generated}/onnx.pb-c.c)
target_include_directories(tq_onnx SYSTEM PRIVATE ${onnx_generated})
tq_room(kernels OpenMP::OpenMP_C)
tq_room(passes)
tq_room(engine)
tq_room(data PkgConfig::LIBZIP PkgConfig::SPNG PkgConfig::JPEG PkgConfig::CJSON)
tq_room(recipe PkgConfig::YAML)
tq_room(train PkgConfig::CJSON)
tq_room(backends PkgConfig::CJSON)
tq_room(report PkgConfig::CJSON PkgConfig::GRAPHVIZ)
tq_room(zoo)
tq_room(builtin)
