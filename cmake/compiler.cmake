set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

# winnow_flags: what every file is compiled with. x86-64-v3 (AVX2, FMA) is the baseline; a stem that has a wider form
# is compiled once per instruction set (cmake/instruction_sets.cmake) and chosen at run time.
add_library(winnow_flags INTERFACE)
target_include_directories(winnow_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(winnow_flags INTERFACE
  -march=x86-64-v3 -ffp-contract=fast -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror
  -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=
  # g++ 12 warns falsely about overlapping copies in std::string operator+ (GCC bug 105651)
  $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess -Wno-restrict>)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(winnow_flags INTERFACE -fstack-protector-strong)
  target_compile_definitions(winnow_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(WINNOW_SANITIZE)
  target_compile_options(winnow_flags INTERFACE -fsanitize=${WINNOW_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(winnow_flags INTERFACE -fsanitize=${WINNOW_SANITIZE})
endif()
