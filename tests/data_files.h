// Small data sets on disk for the tests of data/.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "core/config.h"
#include "data/dataset.h"

namespace winnow {

// A directory that goes away with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "winnow-data-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }

 private:
  std::string path_;
};

// yaml: the data section without its indentation and `path`.
inline Schema schema_of(const std::string& yaml, const std::string& path) {
  Config config = Config::parse(yaml + "\npath: '" + path + "'\n", "data.yaml");
  Schema schema = parse_schema(config.root());
  config.finish();
  return schema;
}

inline std::map<std::string, std::string> small_shop() {
  std::string views = "user,item,time,price,clicked\n";
  // 20 views; user c and item z appear in the last one (test) only
  const char* users[] = {"a", "b", "a", "b", "a", "b", "b", "b", "a", "b",
                         "a", "b", "a", "b", "a", "b", "a", "b", "a", "c"};
  const char* items[] = {"x", "x", "y", "y", "x", "w", "x", "y", "w", "x",
                         "x", "y", "w", "x", "x", "y", "w", "x", "y", "z"};
  for (int i = 0; i < 20; ++i)
    views += std::string(users[i]) + "," + items[i] + "," + std::to_string(1000 + i) + "," + std::to_string(i % 4) +
             "," + (i % 3 == 0 ? "5" : "2") + "\n";
  return {{"views.csv", views},
          {"users.csv", "user,city\na,Ulm\nb,\nc,Bonn\n"},
          {"items.csv", "item,tags,name\nx,red|big,X!\ny,red,Y!\nw,,W!\nz,green|red|big|odd,Z!\n"}};
}

inline const std::string kSmallShop = R"(interactions: {file: views.csv}
users: {file: users.csv}
items: {file: items.csv, title: name}
user_id: user
item_id: item
timestamp: {column: time}
label: {column: clicked, rule: ">= 4"}
split: {train: 0.6, valid: 0.2, test: 0.2}
features:
  - {name: user}
  - {name: city, source: user}
  - {name: item}
  - {name: tags, type: multi, source: item, separator: "|", max_len: 3}
  - {name: price, type: numeric, source: context}
)";

inline Dataset load(const std::map<std::string, std::string>& files, const std::string& yaml) {
  const TemporaryDirectory directory;
  for (const auto& [name, text] : files) directory.write(name, text);
  return load_dataset(schema_of(yaml, directory.path()));
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("'" + from + "' is not in the text");
  return text.replace(at, from.size(), to);
}

}  // namespace winnow
