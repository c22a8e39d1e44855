// Options: the tables that commands are described by, and the one parser that reads them. Docker's habits (pflag):
//   --name=value  --name value  -n value  -nvalue  -n=value  -aq (several switches)  --switch=false
//   options may stand after positional arguments; "--" ends them; "-" alone is an argument.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace slipway::cli {

enum class Takes : unsigned char {
  kNothing,  ///< a switch
  kValue,    ///< one value; the last one given counts
  kValues,   ///< may be given many times
};

/// What shells offer for a value or an argument.
enum class Completes : unsigned char { kNothing, kFile, kDirectory, kImage, kWords };

struct Option {
  std::string_view name;  ///< without dashes
  char letter = 0;        ///< 0: no short form
  Takes takes = Takes::kNothing;
  std::string_view value;  ///< how help calls the value: "SIZE"
  std::string_view help;   ///< one clause, no full stop
  Completes completes = Completes::kNothing;
  std::string_view words = {};  ///< for kWords: the values, separated by blanks
  bool compatibility = false;   ///< taken for docker's sake: help only names it, completion does not offer it
};

/// What was given, in order. Asking for an option by name needs no check that it exists: an unknown one was not given.
class Arguments {
 public:
  [[nodiscard]] bool has(std::string_view name) const;
  /// A switch: its last value ("--pull=false" is false), or `otherwise` when it was not given.
  [[nodiscard]] bool flag(std::string_view name, bool otherwise = false) const;
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> values(std::string_view name) const;
  [[nodiscard]] const std::vector<std::string>& positional() const { return positional_; }

  void give(std::string_view name, std::string value) { given_.emplace_back(name, std::move(value)); }
  void give_positional(std::string word) { positional_.push_back(std::move(word)); }
  /// Puts what `earlier` holds before what is here.
  void prepend(const Arguments& earlier);

 private:
  std::vector<std::pair<std::string, std::string>> given_;
  std::vector<std::string> positional_;
};

enum class Positional : unsigned char {
  kMixed,  ///< options and arguments in any order
  kStop,   ///< the first argument ends the reading
};

/// Reads `words` by `options`. Gives how many words were read (all of them with kMixed). `command` names the command
/// in errors ("slipway build"). Errors are kUsage, with the nearest known name.
[[nodiscard]] Result<std::size_t> parse_options(const std::vector<Option>& options,
                                                const std::vector<std::string>& words, Positional positional,
                                                std::string_view command, Arguments& into);

}  // namespace slipway::cli
