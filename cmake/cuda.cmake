# The CUDA toolkit's headers and compiler, where they are. Nothing here is needed to build or run Winnow: with the
# headers the emulation is built and tested (core/cuda/emulation), with nvcc the .cu files are also compiled for devices.
find_path(CUDA_INCLUDE_DIR cuda_runtime_api.h HINTS $ENV{CUDA_HOME}/include /usr/local/cuda/include)
find_program(NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(CUDA_INCLUDE_DIR)
  find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDA_INCLUDE_DIR})
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDA_INCLUDE_DIR})
endif()
set(WINNOW_CUDA_ARCHITECTURES 80 90 100 CACHE STRING "Compute capabilities that .cu files are compiled for")

if(NOT CUDA_INCLUDE_DIR)
  message(STATUS "CUDA: no toolkit found (CUDA_HOME, /usr/local/cuda): kernels are neither compiled nor tested")
  return()
elseif(NOT NVCC)
  message(STATUS "CUDA: headers in ${CUDA_INCLUDE_DIR}, no nvcc: kernels are tested by the emulation only")
else()
  message(STATUS "CUDA: ${NVCC}: kernels are tested by the emulation and compiled for sm_${WINNOW_CUDA_ARCHITECTURES}")
endif()

# The emulated runtime and libraries; never part of libwinnow.
file(GLOB emulation_sources CONFIGURE_DEPENDS core/cuda/emulation/*.cpp)
list(FILTER emulation_sources EXCLUDE REGEX "/instrumentation\\.cpp$")
if(NOT CUDNN_INCLUDE_DIR)
  list(FILTER emulation_sources EXCLUDE REGEX "/cudnn[a-z_]*\\.cpp$")
endif()
if(NOT NCCL_INCLUDE_DIR)
  list(FILTER emulation_sources EXCLUDE REGEX "/(nccl|communicator)\\.cpp$")
endif()
add_library(winnow_emulation STATIC EXCLUDE_FROM_ALL ${emulation_sources})
target_link_libraries(winnow_emulation PUBLIC winnow_flags ${CMAKE_DL_LIBS})
target_include_directories(winnow_emulation SYSTEM PUBLIC ${CUDA_INCLUDE_DIR} ${CUDNN_INCLUDE_DIR} ${NCCL_INCLUDE_DIR})
target_precompile_headers(winnow_emulation PRIVATE <algorithm> <map> <memory> <string> <vector> <fmt/format.h>)
# The hooks that instrumented kernels call: linked instead of libtsan and libubsan.
add_library(winnow_emulation_instrumentation OBJECT EXCLUDE_FROM_ALL core/cuda/emulation/instrumentation.cpp)
target_link_libraries(winnow_emulation_instrumentation PUBLIC winnow_emulation)

# winnow_emulated_kernels(target variant sources...): .cu files as C++ for the emulation.
#   plain: guard pages, canaries, NaN, any order of threads
#   asan:  exact bounds and alignment, by the sanitizers; a program with them is linked with -fsanitize=address,undefined
#   race:  every access through the race checker; a program with them links winnow_emulation_instrumentation
function(winnow_emulated_kernels target variant)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX)
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${ARGN})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_include_directories(${target} SYSTEM PRIVATE ${CUDA_INCLUDE_DIR})
  target_link_libraries(${target} PRIVATE fmt::fmt)
  # bf16 pairs are read as 32-bit words; nvcc's own contraction differs, so none here; one guard page must be enough.
  target_compile_options(${target} PRIVATE -g -fno-strict-aliasing -ffp-contract=off -fstack-clash-protection
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-unknown-pragmas -Werror
    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
  if(variant STREQUAL "plain")
    target_compile_options(${target} PRIVATE -O2)
  elseif(variant STREQUAL "asan")
    target_compile_options(${target} PRIVATE -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
      -fno-omit-frame-pointer)
  elseif(variant STREQUAL "race")
    # Scalar replacement would take vector loads apart before they are instrumented.
    target_compile_options(${target} PRIVATE -O1 -fsanitize=thread,alignment
      $<$<CXX_COMPILER_ID:GNU>:-fno-tree-sra -fno-ipa-sra>)
  else()
    message(FATAL_ERROR "winnow_emulated_kernels: ${variant} is none of plain, asan, race")
  endif()
endfunction()

# winnow_device_kernels(target sources...): the same files compiled by nvcc for every architecture, warnings and register
# spills as errors. A target that builds objects, listed in <target>_objects.
function(winnow_device_kernels target)
  set(architectures "")
  foreach(architecture ${WINNOW_CUDA_ARCHITECTURES})
    list(APPEND architectures -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  set(objects "")
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}/${name}.o)
    # nvcc's front end is not given fmt's consteval checks of format strings, and takes constexpr functions as they are.
    add_custom_command(OUTPUT ${object}
      COMMAND ${NVCC} -std=c++20 -O2 -I${CMAKE_SOURCE_DIR} ${architectures} -Werror all-warnings
        -DFMT_CONSTEVAL= -DFMT_USE_CONSTEXPR=1 --expt-relaxed-constexpr -Xcompiler -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=
        -Xcompiler -Wall,-Wextra,-Werror -Xptxas --warn-on-spills -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d COMMENT "nvcc ${name}.cu" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${target})
  add_custom_target(${target} ALL DEPENDS ${objects})
  set(${target}_objects ${objects} PARENT_SCOPE)
endfunction()

# The backend's host side, the same for devices and the emulation. ops/<stem>.cu defines
# `void winnow::register_<stem>_cuda(Registry&)`; the list of them is generated, as register_all.cmake does for ops/*.cpp.
file(GLOB cuda_host_sources CONFIGURE_DEPENDS core/cuda/*.cpp)
file(GLOB cuda_op_sources CONFIGURE_DEPENDS ops/*.cu)
set(declarations "")
set(calls "")
foreach(source ${cuda_op_sources})
  get_filename_component(stem ${source} NAME_WE)
  string(APPEND declarations "void register_${stem}_cuda(Registry&);\n")
  string(APPEND calls "  register_${stem}_cuda(r);\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/register_all_cuda.cpp CONTENT
"// Generated by cmake/cuda.cmake.
#include \"core/op.h\"

namespace winnow {
@declarations@
void register_all_cuda(Registry& r);
void register_all_cuda(Registry& r) {
@calls@}

}  // namespace winnow
" @ONLY)
add_library(winnow_cuda_host OBJECT EXCLUDE_FROM_ALL ${cuda_host_sources} ${CMAKE_BINARY_DIR}/register_all_cuda.cpp)
target_link_libraries(winnow_cuda_host PUBLIC winnow_flags)
target_include_directories(winnow_cuda_host SYSTEM PRIVATE ${CUDA_INCLUDE_DIR})

# What programs link to run on devices: the runtime is linked in, so that they start without it; cuBLASLt is not.
if(NVCC)
  winnow_device_kernels(winnow_op_kernels ${cuda_op_sources})
  get_filename_component(toolkit ${CUDA_INCLUDE_DIR} DIRECTORY)
  find_library(CUDART_STATIC cudart_static HINTS ${toolkit}/lib64 ${toolkit}/lib)
  find_library(CUBLASLT cublasLt HINTS ${toolkit}/lib64 ${toolkit}/lib)
  add_library(winnow_cuda INTERFACE)
  set_source_files_properties(${winnow_op_kernels_objects} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  target_sources(winnow_cuda INTERFACE $<TARGET_OBJECTS:winnow_cuda_host> ${winnow_op_kernels_objects})
  target_link_libraries(winnow_cuda INTERFACE ${CUBLASLT} ${CUDART_STATIC} pthread rt ${CMAKE_DL_LIBS})
  add_dependencies(winnow_cuda winnow_op_kernels)
endif()
