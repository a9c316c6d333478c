# Every library here has its reason in docs/dependencies.md.
find_package(OpenMP REQUIRED)
# oneDNN by its two files: Debian's package of it asks for OpenCL headers that Winnow never includes.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(dnnl SHARED IMPORTED)
set_target_properties(dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
find_package(yaml-cpp REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
# By their files: Debian's packages of these two carry no CMake configuration.
find_path(ZSTD_INCLUDE_DIR zstd.h REQUIRED)
find_library(ZSTD_LIBRARY zstd REQUIRED)
find_path(PQ_INCLUDE_DIR libpq-fe.h PATH_SUFFIXES postgresql REQUIRED)
find_library(PQ_LIBRARY pq REQUIRED)
add_library(winnow_sources INTERFACE)  # what the readers, writers and text steps of data/ link
target_include_directories(winnow_sources SYSTEM INTERFACE ${ZSTD_INCLUDE_DIR} ${PQ_INCLUDE_DIR})
target_link_libraries(winnow_sources INTERFACE ZLIB::ZLIB SQLite::SQLite3 ${ZSTD_LIBRARY} ${PQ_LIBRARY} ICU::uc)
target_link_libraries(winnow_flags INTERFACE OpenMP::OpenMP_CXX fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
