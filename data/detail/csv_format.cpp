// Separated text, a piece at a time: the places of all separators and line ends first, then the cells between them.
// Pieces that are not regular (a row of another width, a quote out of place, a NUL) go through CsvReader, whose errors
// are exact, so that the fast path decides one thing only: that there is nothing to report.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/byte_masks.h"
#include "data/detail/text_format.h"

namespace winnow::detail {
namespace {

constexpr int kCriteoNumbers = 13, kCriteoCategories = 26;

struct CsvPlaces {
  int64_t newlines = 0;  // that end rows
  bool quotes = false;   // some quote is in the text
  bool regular = true;   // no NUL, no open quote at the end
};

// The places of separators and line ends outside quoted cells, ascending.
CsvPlaces find_places(std::string_view text, char separator, bool quoting, std::vector<uint32_t>& places) {
  CsvPlaces found;
  places.resize(text.size() + 64);  // groups of eight are written, the last beyond its bits
  uint32_t* out = places.data();
  QuoteState state(text.data(), text.size(), separator);
  uint64_t nul = 0;
  for (size_t base = 0; base < text.size(); base += 64) {
    const Bytes64 bytes(text.data() + base);
    const uint64_t live = bits_below(static_cast<unsigned>(std::min<size_t>(64, text.size() - base)));
    uint64_t newlines = bytes.equal('\n') & live, separators = bytes.equal(separator) & live;
    nul |= bytes.equal('\0') & live;
    if (quoting) {
      const uint64_t quotes = bytes.equal('"') & live;
      if ((quotes | uint64_t{state.is_inside()}) != 0) {
        const uint64_t outside = ~state.inside(base, quotes);
        newlines &= outside;
        separators &= outside;
        found.quotes = true;
      }
    }
    found.newlines += __builtin_popcountll(newlines);
    uint64_t bits = newlines | separators;
    const int count = __builtin_popcountll(bits);
    for (int done = 0; done < count; done += 8)
      for (int i = 0; i < 8; ++i) {
        out[done + i] =
            static_cast<uint32_t>(base) + static_cast<uint32_t>(__builtin_ctzll(bits | (uint64_t{1} << 63)));
        bits &= bits - 1;
      }
    out += count;
  }
  places.resize(static_cast<size_t>(out - places.data()));
  found.regular = nul == 0 && !state.is_inside();
  return found;
}

// A cell that begins with a quote: its inside, or nothing when the cell is not one quoted text. `doubled`: it holds
// doubled quotes.
std::optional<std::string_view> inside_quotes(std::string_view cell, bool& doubled) {
  if (cell.size() < 2 || cell.back() != '"') return {};
  const std::string_view inside = cell.substr(1, cell.size() - 2);
  for (size_t at = inside.find('"'); at != std::string_view::npos; at = inside.find('"', at + 2)) {
    if (at + 1 >= inside.size() || inside[at + 1] != '"') return {};
    doubled = true;
  }
  return inside;
}

// Halves the doubled quotes where they stand: `cell` views memory that belongs to the block.
std::string_view halve_quotes(std::string_view cell) {
  char* const begin = const_cast<char*>(cell.data());
  char* out = begin;
  for (size_t i = 0; i < cell.size(); ++i) {
    *out++ = cell[i];
    i += cell[i] == '"';
  }
  return {begin, static_cast<size_t>(out - begin)};
}

class CsvFormat final : public TextFormat {
 public:
  CsvFormat(const CsvOptions& options, bool has_header) : options_(options), has_header_(has_header) {
    const char c = options.separator;
    WN_CHECK(c != '"' && c != '\n' && c != '\r' && c != '\0', ConfigError, "the separator cannot be {}",
             quoted({&c, 1}));
  }

  RowEnds row_ends() const override { return {options_.separator, options_.quoting}; }
  bool may_be_empty() const override { return !has_header_; }

  void begin_file(Piece& piece) override {
    if (!has_header_) {
      if (columns_.empty()) name_criteo_columns(piece);
      return;
    }
    const CsvReader reader(piece.file, piece.view(), options_, true);
    if (columns_.empty()) {
      columns_ = reader.header();
      first_file_ = piece.file;
    } else if (reader.header() != columns_) {
      report_difference(piece.file, reader.header());
    }
    // a piece ends with one line end: when nothing else is left, it is the header's own
    const bool alone = reader.position() >= size_without_line_ends(piece.view());
    const size_t cut = alone ? piece.bytes : reader.position();
    piece.line += std::count(piece.text, piece.text + cut, '\n');
    piece.text += cut;
    piece.bytes -= cut;
  }

  void parse(Piece& piece, RowBlock& block) const override {
    begin_block(piece, block, columns_.size());
    const CsvPlaces found = find_places(piece.view(), options_.separator, options_.quoting, piece.numbers);
    if (!found.regular || !cut_cells(piece, found, block)) read_strictly(piece, block);
  }

 private:
  void name_criteo_columns(const Piece& piece) {
    const std::string_view line = piece.view().substr(0, piece.view().find('\n'));
    const auto fields = 1 + std::ranges::count(line, options_.separator);
    const int numbered = kCriteoNumbers + kCriteoCategories;
    WN_CHECK(fields == numbered || fields == numbered + 1, DataError,
             "{}:1: {} fields; a Criteo file has {} (label, {} numbers, {} categories) or {} without label", piece.file,
             fields, numbered + 1, kCriteoNumbers, kCriteoCategories, numbered);
    if (fields > numbered) columns_.push_back("label");
    for (int i = 1; i <= kCriteoNumbers; ++i) columns_.push_back(fmt::format("I{}", i));
    for (int i = 1; i <= kCriteoCategories; ++i) columns_.push_back(fmt::format("C{}", i));
  }

  [[noreturn]] void report_difference(const std::string& file, const std::vector<std::string>& header) const {
    const auto [a, b] = std::ranges::mismatch(columns_, header);
    const auto place = a - columns_.begin() + 1;
    const auto shown = [](const auto& at, const auto& all) { return at == all.end() ? "absent" : quoted(*at); };
    raise<DataError>("{}:1: the columns differ from those of {}: column {} is {} here and {} there", file, first_file_,
                     place, shown(b, header), shown(a, columns_));
  }

  // False when some row is not as wide as the header or a quoted cell is malformed; the piece is unchanged then.
  bool cut_cells(Piece& piece, const CsvPlaces& found, RowBlock& block) const {
    const size_t width = columns_.size();
    const auto rows = static_cast<size_t>(found.newlines);
    const std::vector<uint32_t>& places = piece.numbers;
    if (places.size() != rows * width) return false;
    for (size_t r = 0; r < rows; ++r)
      if (piece.text[places[r * width + width - 1]] != '\n') return false;
    block.cells.resize(rows * width);
    std::string_view* cell = block.cells.data();
    const uint32_t* place = places.data();
    size_t begin = 0;
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < width; ++c, ++cell, ++place) {
        *cell = {piece.text + begin, *place - begin};
        begin = *place + 1;
      }
      if (!cell[-1].empty() && cell[-1].back() == '\r') cell[-1].remove_suffix(1);
    }
    block.rows = static_cast<int64_t>(rows);
    block.lines.resize(rows);
    if (found.quotes) return unquote(piece, block);
    for (size_t r = 0; r < rows; ++r) block.lines[r] = piece.line + static_cast<int64_t>(r);
    return true;
  }

  bool unquote(const Piece& piece, RowBlock& block) const {
    int64_t line = piece.line;
    std::vector<std::string_view*> doubled;
    std::string_view* cell = block.cells.data();
    for (int64_t& row_line : block.lines) {
      row_line = line++;
      for (size_t c = 0; c < columns_.size(); ++c, ++cell) {
        if (cell->empty() || cell->front() != '"') continue;
        bool has_doubled = false;
        const auto inside = inside_quotes(*cell, has_doubled);
        if (!inside) return false;
        *cell = *inside;
        line += std::ranges::count(*cell, '\n');
        if (has_doubled) doubled.push_back(cell);
      }
    }
    for (std::string_view* c : doubled) *c = halve_quotes(*c);
    return true;
  }

  void read_strictly(const Piece& piece, RowBlock& block) const {
    block.cells.clear();
    block.lines.clear();
    CsvReader reader(piece.file, piece.view(), options_, columns_, piece.line);
    std::string& scratch = static_cast<BlockMemory*>(block.memory.get())->scratch;
    scratch.clear();
    scratch.reserve(piece.bytes);  // so that views of it stay
    while (reader.next()) {
      block.lines.push_back(reader.line());
      for (const std::string_view cell : reader.cells()) {
        const size_t at = scratch.size();
        scratch.append(cell);
        block.cells.push_back(std::string_view(scratch).substr(at));
      }
    }
    block.rows = static_cast<int64_t>(block.lines.size());
  }

  CsvOptions options_;
  bool has_header_;
  std::string first_file_;
};

}  // namespace

std::unique_ptr<TextFormat> make_csv_format(const CsvOptions& options, bool has_header) {
  return std::make_unique<CsvFormat>(options, has_header);
}

}  // namespace winnow::detail
