// Remote sources: what ADD and named contexts take from elsewhere, a URL or a git repository.
//
// A source first says what it holds (`key`, which asks the server and may already transfer), and only when a step has
// to run is it put on disk (`fetch`). A vertex of its own brings sources as trees; ADD then copies from it by content,
// as COPY --from does from a stage.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "build/ops.hpp"
#include "build/remote_file.hpp"

namespace slipway::build {

class VertexIds;

class RemoteSource {
 public:
  virtual ~RemoteSource() = default;
  /// Digest of what the source holds now. Called once, before fetch().
  [[nodiscard]] virtual Result<oci::Digest> key(const Cancel& cancel) = 0;
  /// Puts it into the existing, empty `directory`: a tree, or one file.
  [[nodiscard]] virtual Status fetch(const std::string& directory, const Cancel& cancel) = 0;
};

/// What ADD's flags say of a source.
struct RemoteOptions {
  std::string checksum;            ///< --checksum, or empty
  bool keep_git_dir = false;       ///< --keep-git-dir
  bool unpack_as_context = false;  ///< a URL as named context: an archive becomes its content, other files "context"
};

/// How the git program is run.
struct GitSetup {
  std::string scratch;                                       ///< a directory for its temporary things
  std::string search_path;                                   ///< PATH
  std::string ssh_agent;                                     ///< SSH_AUTH_SOCK for ssh; empty: no keys at all
  bool agent_only = true;                                    ///< no key files of the user besides
  std::vector<std::pair<std::string, std::string>> proxies;  ///< HTTP_PROXY …
  std::string ca_file, ca_directory;                         ///< roots instead of the system's
  bool any_certificate = false;                              ///< whoever answers is believed
  const std::vector<Secret>* secrets = nullptr;              ///< GIT_AUTH_TOKEN, GIT_AUTH_HEADER
  int deadline_ms = 30 * 60 * 1000;                          ///< of one call of git
  std::int64_t disk_bytes = kGitDiskBytes;                   ///< of a repository with its checkout and submodules
};

/// Makes sources; what all of one build share. Outlives them.
class RemoteSources {
 public:
  /// `ssh_agent`: the socket of the agent that --ssh gave (SshAgents::socket_for_git), or empty.
  RemoteSources(const Workshop& shop, const Request& request, const Tools& tools, VertexIds& ids,
                std::string ssh_agent = {});

  /// Whether an ADD source (or a context) is a URL or git reference rather than a path.
  [[nodiscard]] static bool is_remote(const std::string& text);
  [[nodiscard]] static bool is_git(const std::string& text);
  /// Errors: a malformed reference or checksum.
  [[nodiscard]] Result<std::shared_ptr<RemoteSource>> of(const std::string& text, const RemoteOptions& options);

  [[nodiscard]] const RemoteFiles& files() const { return files_; }
  [[nodiscard]] const GitSetup& git() const { return git_; }
  [[nodiscard]] const Workshop& shop() const { return shop_; }
  [[nodiscard]] progress::VertexId next_id();
  /// Runs `work` (which gives a Result) as a line of progress.
  template <class Work>
  auto shown(progress::VertexId vertex, const std::string& what, Work work) const -> decltype(work()) {
    shop_.sink.on(progress::Started{vertex, "[internal] " + printable(what, 300)});
    auto result = work();
    shop_.sink.on(progress::Finished{vertex, result ? "" : result.error().what()});
    return result;
  }

 private:
  const Workshop& shop_;
  VertexIds& ids_;
  RemoteFiles files_;
  GitSetup git_;
};

/// The layer that holds `sources`, each in a directory of that name ("0", "1"; "" for the root), upon input 0.
/// `recorded`: for what is worth keeping besides the step that copies from it, and for what an image is built upon.
struct RemoteSpec {
  std::vector<std::pair<std::string, std::shared_ptr<RemoteSource>>> sources;
  bool recorded = true;
};
[[nodiscard]] std::shared_ptr<solver::Op> remote_op(const OpContext& context, Place place, RemoteSpec spec);

}  // namespace slipway::build
