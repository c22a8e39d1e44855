// Lexer: a Dockerfile's text → its directives and statements: byte order mark, CRLF, comments, continuation lines,
// heredoc bodies (spec sections 1.1 to 1.3).
#pragma once

#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/directive.hpp"
#include "dockerfile/statement.hpp"

namespace slipway::dockerfile {

struct Lexed {
  Directives directives;
  std::vector<Statement> statements;
};

/// Linear in the text. Errors carry the range of lines, without a file name: `unterminated heredoc`, those of
/// read_directive() and of parse_statement().
[[nodiscard]] Result<Lexed> lex(std::string_view text);

}  // namespace slipway::dockerfile
