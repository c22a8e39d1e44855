// Template: the part of Go's text/template that people use with docker's --format.
//
//   {{.Repository}}:{{.Tag}}   {{json .}}   {{json .Config.Env}}   {{index .RepoDigests 0}}   {{len .RootFS.Layers}}
//   {{range .RootFS.Layers}}{{println .}}{{end}}   {{if .RepoTags}}…{{else}}…{{end}}   {{.Id | upper}}
//   {{with .Config}}…{{end}}   {{join .RepoTags ","}}   {{- trims blanks -}}   {{/* nothing */}}
//
// Functions: json, index, len, upper, lower, title, join, split, println, print, eq, ne, not, and, or, truncate, pad.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cli/value.hpp"

namespace slipway::cli {

enum class Fields : unsigned char {
  kValues,
  kHeaders,  ///< the data are a table's headings: functions give them unchanged
};

class Template {
 public:
  /// kInvalidArgument with the place of what is wrong.
  static Result<Template> parse(std::string_view text);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();
  /// kInvalidArgument for a member that does not exist (with the nearest known one) and for a misused function.
  [[nodiscard]] Result<std::string> render(const Value& data, Fields fields = Fields::kValues) const;

  struct Node;

 private:
  explicit Template(std::unique_ptr<Node> root);
  std::unique_ptr<Node> root_;
};

}  // namespace slipway::cli
