#include "train/program.h"

int main(int argc, char** argv) { return winnow::run_program(argc, argv); }
