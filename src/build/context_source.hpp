// Context source: where the build context of a command line comes from, and getting it: a folder, a stream, a URL, a
// git repository (spec sections 7 and 12).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "build/remote_source.hpp"
#include "dockerfile/dockerfile.hpp"
#include "sys/file.hpp"

namespace slipway::build {

enum class ContextKind : unsigned char {
  kFolder,
  kStream,  ///< "-": a tar, or a Dockerfile alone; told by its content
  kUrl,     ///< http(s): likewise
  kGit,
};
[[nodiscard]] ContextKind context_kind(const std::string& text);

/// A context at hand.
struct ContextFolder {
  std::string directory;                  ///< what COPY reads from
  bool remote = false;                    ///< made for this build: paths of -f are inside of it
  std::optional<std::string> dockerfile;  ///< the stream or URL was a Dockerfile; the directory is empty
  std::optional<sys::TempDir> holder;     ///< of a remote one
};

/// Gets the context. A folder is only looked at; everything else lands in the lease's directory, unpacked there and
/// nowhere else. Errors say which context.
[[nodiscard]] Result<ContextFolder> get_context(const Request& request, const Tools& tools, RemoteSources& remotes,
                                                const Cancel& cancel);

/// The Dockerfile that the request names, parsed. `ContextFolder::dockerfile` comes first; paths of a remote context
/// are resolved inside of it; -f may be a URL.
[[nodiscard]] Result<dockerfile::File> read_dockerfile(const Request& request, const ContextFolder& folder,
                                                       RemoteSources& remotes, const Cancel& cancel);

/// The folder as COPY sees it: behind "<Dockerfile>.dockerignore" where that is, else ".dockerignore" at its root. A
/// Dockerfile that is no file (standard input, a URL) has only the latter.
[[nodiscard]] Result<std::shared_ptr<Context>> open_context(store::Store& store, const Request& request,
                                                            const ContextFolder& folder);

/// A folder named with --build-context, behind the ".dockerignore" at its root.
[[nodiscard]] Result<std::shared_ptr<Context>> open_folder(store::Store& store, const std::string& directory);

}  // namespace slipway::build
