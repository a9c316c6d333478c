// Writes one file atomically: atomic_writer <path> <letter> <bytes>. Exit code 0 only when the file is in place, 3 when
// only the directory could not be synced, 1 on any other IoError. run.sh makes its system calls fail, one after
// another.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/file.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    winnow::make_directories(winnow::parent_directory(argv[1]));
    winnow::AtomicFile file(argv[1]);
    const std::string piece(100'000, argv[2][0]);
    for (size_t left = std::strtoul(argv[3], nullptr, 10); left > 0;) {
      const size_t n = left < piece.size() ? left : piece.size();
      file.write(piece.data(), n);
      left -= n;
    }
    file.commit();
    return 0;
  } catch (const winnow::IoError& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return std::string(e.what()).find("the new file is in place") != std::string::npos ? 3 : 1;
  }
}
