#include "dockerfile/lexer.hpp"

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/text.hpp"
#include "dockerfile/rune.hpp"

namespace slipway::dockerfile {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Physical lines, counted.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  [[nodiscard]] int number() const { return number_; }  ///< of the line taken last; 0 before the first

  /// The next line with its newline, or nothing.
  std::optional<std::string_view> take() {
    if (rest_.empty()) return {};
    const auto end = rest_.find('\n');
    const auto line = rest_.substr(0, end == std::string_view::npos ? end : end + 1);
    rest_.remove_prefix(line.size());
    ++number_;
    return line;
  }

 private:
  std::string_view rest_;
  int number_ = 0;
};

std::string_view without_newline(std::string_view line) {
  const auto last = line.find_last_not_of("\r\n");
  return line.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool is_comment(std::string_view line) { return trim_left_space(line).starts_with('#'); }

// A line as part of an instruction, and whether the next one continues it.
struct Piece {
  std::string_view text;
  bool continues = false;
};

Piece piece_of(std::string_view line, char escape) {
  const auto last = line.find_last_not_of(" \t");
  if (last == std::string_view::npos || line[last] != escape) return {line, false};
  if (last > 0 && line[last - 1] == escape) return {line, false};
  return {line.substr(0, last), true};
}

Error at_lines(Error error, int first, int last) {
  return std::move(error).with_range({.file = {}, .first_line = first, .last_line = last});
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text), lines_(text) {}

  Result<Lexed> run() {
    while (auto line = lines_.take()) {
      if (lines_.number() == 1 && line->starts_with(kByteOrderMark)) line->remove_prefix(kByteOrderMark.size());
      const std::string_view text = trim_left_space(without_newline(*line));
      if (TRY(directive(text))) continue;
      if (text.starts_with('#')) {
        const std::string_view comment = trim_space(text.substr(1));
        if (comment.empty()) {
          comments_.clear();  // an empty comment parts what stands above from the instruction, as a blank line does
        } else {
          comments_.emplace_back(comment);
        }
        continue;
      }
      auto comments = std::exchange(comments_, {});
      if (text.empty()) continue;
      TRY(statement(text, std::move(comments)));
    }
    return std::move(lexed_);
  }

 private:
  Result<bool> directive(std::string_view text) {
    if (!directives_allowed_) return false;
    if (lines_.number() == 1 && text.starts_with("#!")) return true;
    auto read = read_directive(text, lines_.number(), lexed_.directives);
    if (!read) return std::unexpected(at_lines(std::move(read).error(), lines_.number(), lines_.number()));
    directives_allowed_ = *read;
    return *read;
  }

  Status statement(std::string_view text, std::vector<std::string> comments) {
    const int first_line = lines_.number();
    const char escape = lexed_.directives.escape;
    bool empty_continuation = false;
    Piece piece = piece_of(text, escape);
    std::string joined(piece.text);
    while (piece.continues) {
      const auto line = lines_.take();
      if (!line) break;
      if (is_comment(*line)) continue;
      const std::string_view more = without_newline(*line);
      if (trim_space(more).empty()) {
        empty_continuation = true;
        continue;
      }
      piece = piece_of(more, escape);
      joined += piece.text;
    }
    auto parsed = parse_statement(std::move(joined), escape);
    if (!parsed) return std::unexpected(at_lines(std::move(parsed).error(), first_line, lines_.number()));
    parsed->first_line = first_line;
    parsed->comments = std::move(comments);
    parsed->empty_continuation = empty_continuation;
    parsed->joined_last_line = lines_.number();
    Result<std::vector<Heredoc>> bodies;
    if (takes_heredocs(*parsed)) bodies = heredocs(parsed->text);
    if (!bodies) return std::unexpected(at_lines(std::move(bodies).error(), first_line, lines_.number()));
    parsed->heredocs = *std::move(bodies);
    parsed->last_line = lines_.number();
    lexed_.statements.push_back(*std::move(parsed));
    return {};
  }

  Result<std::vector<Heredoc>> heredocs(std::string_view line) {
    std::vector<Heredoc> bodies;
    for (auto& heredoc : TRY(find_heredocs(line))) {
      if (heredoc.spaced && !ends_later(heredoc.name)) continue;
      TRY(body(heredoc));
      bodies.push_back(std::move(heredoc));
    }
    return bodies;
  }

  // Whether a line that is still to come says `name`.
  bool ends_later(std::string_view name) {
    if (last_lines_.empty()) {
      Lines lines(text_);
      while (const auto line = lines.take()) last_lines_[without_newline(*line)] = lines.number();
    }
    const auto found = last_lines_.find(name);
    return found != last_lines_.end() && found->second > lines_.number();
  }

  Status body(Heredoc& heredoc) {
    while (const auto line = lines_.take()) {
      std::string_view terminator = without_newline(*line);
      if (heredoc.strip_tabs) {
        const auto start = terminator.find_first_not_of('\t');
        terminator = start == std::string_view::npos ? std::string_view{} : terminator.substr(start);
      }
      if (terminator == heredoc.name) return {};
      heredoc.content += *line;
    }
    return fail(Code::kInvalidArgument, "unterminated heredoc");
  }

  std::string_view text_;
  Lines lines_;
  std::unordered_map<std::string_view, int> last_lines_;  // where each text of a line stands last; filled when needed
  Lexed lexed_;
  std::vector<std::string> comments_;
  bool directives_allowed_ = true;
};

}  // namespace

Result<Lexed> lex(std::string_view text) { return Lexer(text).run(); }

}  // namespace slipway::dockerfile
