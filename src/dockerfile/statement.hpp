// Statement: one instruction cut into name, flags and words, before its meaning is looked at. What can be wrong here is
// reported by BuildKit without "dockerfile parse error on line N", and before anything that parse_instruction()
// refuses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/heredoc.hpp"

namespace slipway::dockerfile {

enum class Keyword : unsigned char {
  kAdd,
  kArg,
  kCmd,
  kCopy,
  kEntrypoint,
  kEnv,
  kExpose,
  kFrom,
  kHealthcheck,
  kLabel,
  kMaintainer,
  kOnBuild,
  kRun,
  kShell,
  kStopSignal,
  kUser,
  kVolume,
  kWorkdir,
};

/// The instruction that `name` means in any case of letters.
[[nodiscard]] std::optional<Keyword> keyword_of(std::string_view name);
[[nodiscard]] std::string_view name_of(Keyword keyword);  ///< upper case
[[nodiscard]] const std::vector<std::string_view>& keyword_names();

/// A pair of ENV or LABEL, quotes and variables as written.
struct NameValue {
  std::string name, value;
  bool legacy = false;  ///< written `NAME rest of line`, without `=`
  friend bool operator==(const NameValue&, const NameValue&) = default;
};

struct Statement {
  int first_line = 0, last_line = 0;    ///< heredoc bodies included
  std::string text;                     ///< continuation lines joined, heredoc bodies not included
  std::string name;                     ///< as written
  std::optional<Keyword> keyword;       ///< nothing: unknown, and nothing below is filled but flags
  std::vector<std::string> flags;       ///< "--name[=value]"
  std::vector<std::string> words;       ///< arguments as the instruction's grammar cuts them
  std::vector<NameValue> pairs;         ///< ENV, LABEL
  bool json = false;                    ///< `words` (in HEALTHCHECK all but the first) came as a JSON list
  bool trigger_takes_heredocs = false;  ///< ONBUILD: of its child
  std::vector<Heredoc> heredocs;
  std::vector<std::string> comments;  ///< the comment lines directly above, without `#`
  bool empty_continuation = false;    ///< a blank line stands between continued lines (warning NoEmptyContinuation)
  int joined_last_line = 0;           ///< last line without heredoc bodies
};

/// Cuts one joined line. Fills neither lines, heredocs nor comments.
/// Errors: `Syntax error - can't find = in "x". Must be of the form: name=value`, `ENV must have two arguments`,
/// `when using JSON array syntax, arrays must be comprised of strings only`.
[[nodiscard]] Result<Statement> parse_statement(std::string text, char escape);

/// Whether words like <<EOF on the line announce heredocs.
[[nodiscard]] bool takes_heredocs(const Statement& statement);

}  // namespace slipway::dockerfile
