// Instruction: what one line of a Dockerfile asks for, flags split off, variables not yet replaced (spec sections 2 to
// 6).
//
// Text is as written unless said otherwise: quotes and `$name` are still there and go through expanded()
// (dockerfile/expand_instruction.hpp) when the environment is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/heredoc.hpp"
#include "dockerfile/statement.hpp"

namespace slipway::dockerfile {

/// Where an instruction stands and how it was written.
struct Source {
  SourceRange range;                  ///< its lines, heredoc bodies included
  std::string text;                   ///< trimmed, continuation lines joined, without heredoc bodies
  std::vector<std::string> comments;  ///< the comment lines directly above, without `#`
  bool empty_continuation = false;    ///< a blank line stands between continued lines
  int joined_last_line = 0;           ///< last line without heredoc bodies
};

/// FROM [--platform=P] IMAGE [AS NAME].
struct From {
  Source source;
  std::string image;     ///< image, stage name or `scratch`; expands with global ARGs only
  std::string platform;  ///< empty when absent; expands likewise
};

struct ArgItem {
  std::string name;
  std::optional<std::string> value;  ///< the default
  friend bool operator==(const ArgItem&, const ArgItem&) = default;
};

/// ARG NAME[=DEFAULT]…, evaluated from left to right.
struct Arg {
  Source source;
  std::vector<ArgItem> items;
};

struct Env {
  Source source;
  std::vector<NameValue> pairs;  ///< all expand in the environment before the instruction
};

struct Label {
  Source source;
  std::vector<NameValue> pairs;
};

/// A file whose content stands in the Dockerfile: `COPY <<NAME dest`.
struct InlineFile {
  std::string name;
  std::string content;  ///< tabs already removed when `<<-`
  bool expand = true;   ///< variables in `content` are replaced
  friend bool operator==(const InlineFile&, const InlineFile&) = default;
};

/// COPY and ADD. Empty texts mean that the flag is absent.
struct Copy {
  Source source;
  bool add = false;
  std::vector<std::string> sources;      ///< paths, in ADD also URLs and git references
  std::vector<InlineFile> inline_files;  ///< sources given as heredocs; they come after `sources`
  std::string destination;
  std::string chown, chmod;
  std::vector<std::string> excludes;
  bool link = false;
  std::string from;            ///< COPY only: stage name or index, named context, image; never expanded
  bool parents = false;        ///< COPY only
  std::string checksum;        ///< ADD only
  bool keep_git_dir = false;   ///< ADD only
  std::optional<bool> unpack;  ///< ADD only
};

/// The command of RUN, CMD and ENTRYPOINT. Never expanded: the shell does that.
struct CommandLine {
  bool shell_form = true;  ///< `text` for the shell; otherwise `args` is the argument vector
  std::string text;
  std::vector<std::string> args;  ///< may be empty: `CMD []`
  friend bool operator==(const CommandLine&, const CommandLine&) = default;
};

struct Run {
  Source source;
  CommandLine command;
  std::vector<Heredoc> heredocs;
  std::vector<std::string> mounts;   ///< CSV texts of --mount, not expanded
  std::vector<std::string> devices;  ///< texts of --device
  std::string network = "default";   ///< default, none or host
  std::string security = "sandbox";  ///< sandbox or insecure
};

struct Cmd {
  Source source;
  CommandLine command;
};

struct Entrypoint {
  Source source;
  CommandLine command;
};

struct Workdir {
  Source source;
  std::string path;
};

struct User {
  Source source;
  std::string user;  ///< name|uid[:group|gid]
};

struct Expose {
  Source source;
  std::vector<std::string> ports;  ///< sorted; expand with expand_words(), then parse_ports()
};

struct Volume {
  Source source;
  std::vector<std::string> paths;
};

struct Shell {
  Source source;
  std::vector<std::string> shell;
};

struct StopSignal {
  Source source;
  std::string signal;  ///< stored as written once parse_signal() accepts what it expands to
};

struct Healthcheck {
  Source source;
  std::vector<std::string> test;  ///< NONE, CMD arg… or CMD-SHELL text, as the image config has it
  std::int64_t interval = 0, timeout = 0, start_period = 0, start_interval = 0;  ///< nanoseconds; 0: inherited default
  int retries = 0;
};

struct OnBuild {
  Source source;
  std::string trigger;  ///< as the image config has it: the rest of the line, then its heredocs; see parse_trigger()
};

struct Maintainer {
  Source source;
  std::string name;
};

/// All that can stand in a stage. FROM opens a stage and is no member.
using Instruction = std::variant<Arg, Env, Label, Copy, Run, Cmd, Entrypoint, Workdir, User, Expose, Volume, Shell,
                                 StopSignal, Healthcheck, OnBuild, Maintainer>;

[[nodiscard]] const Source& source_of(const Instruction& instruction);
[[nodiscard]] Keyword keyword_of(const Instruction& instruction);

/// What a RUN in shell form executes, once its heredocs are resolved (spec section 1.3).
struct RunScript {
  std::string text;                ///< the one argument behind SHELL
  std::optional<InlineFile> file;  ///< `#!` script: mount it at /dev/pipes/NAME, mode 0755; `text` is that path
};
[[nodiscard]] RunScript script_of(const Run& run);

}  // namespace slipway::dockerfile
