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
# spills as errors. A target that builds objects; nothing links them yet.
function(winnow_device_kernels target)
  set(architectures "")
  foreach(architecture ${WINNOW_CUDA_ARCHITECTURES})
    list(APPEND architectures -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  set(objects "")
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${NVCC} -std=c++20 -O2 -I${CMAKE_SOURCE_DIR} ${architectures} -Werror all-warnings
        -Xcompiler -Wall,-Wextra,-Werror -Xptxas --warn-on-spills -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d COMMENT "nvcc ${name}.cu" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${target})
  add_custom_target(${target} ALL DEPENDS ${objects})
endfunction()
