# Stems with a form per instruction set: core/cpu/isa/<stem>.cpp is compiled once per set, chosen at run time by CPUID.
file(GLOB isa_sources CONFIGURE_DEPENDS core/cpu/isa/*.cpp)
foreach(isa avx2 avx512)
  add_library(winnow_isa_${isa} OBJECT ${isa_sources})
  target_link_libraries(winnow_isa_${isa} PUBLIC winnow_flags)
  target_compile_definitions(winnow_isa_${isa} PRIVATE WINNOW_ISA=${isa} WINNOW_ISA_${isa}=1)
  set_property(GLOBAL APPEND PROPERTY WINNOW_PARTS winnow_isa_${isa})
endforeach()
# g++ 12 warns falsely inside its own AVX-512 headers.
target_compile_options(winnow_isa_avx512 PRIVATE -mavx512f -mavx512vl -mavx512bw -mavx512dq -mprefer-vector-width=512
  -Wno-uninitialized -Wno-maybe-uninitialized)
