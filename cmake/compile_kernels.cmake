# cmake -DCOMPILE=... -DOBJECT=x.o -P compile_kernels.cmake: runs nvcc (COMPILE, a list, with -Xptxas -v) and writes
# x.o.resources: of each kernel and architecture the line that names it, the spills, the registers and shared memory
# (ptxas), and of each kernel the line that names it and its launch bounds (PTX, which is the same for all).
set(kept ${OBJECT}.kept)
file(REMOVE_RECURSE ${kept})
file(MAKE_DIRECTORY ${kept})
execute_process(COMMAND ${COMPILE} --keep --keep-dir ${kept}
  RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(failed)
  file(REMOVE_RECURSE ${kept})
  file(REMOVE ${OBJECT})
  message("${said}")
  message(FATAL_ERROR "nvcc failed: ${OBJECT}")
endif()
string(REGEX MATCHALL "(Compiling entry function|[0-9]+ bytes stack frame|Used [0-9]+ registers)[^\n]*" resources "${said}")
file(GLOB ptx ${kept}/*.ptx)
list(GET ptx 0 ptx)
file(STRINGS ${ptx} bounds REGEX "^(\\.visible |\\.weak )?\\.entry|^\\.(maxntid|minnctapersm)")
file(REMOVE_RECURSE ${kept})
list(JOIN resources "\n" resources)
list(JOIN bounds "\n" bounds)
file(WRITE ${OBJECT}.resources "${resources}\n${bounds}\n")
