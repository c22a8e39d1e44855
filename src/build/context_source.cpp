#include "build/context_source.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/text.hpp"
#include "build/context_archive.hpp"
#include "build/git_source.hpp"
#include "build/open_context.hpp"

namespace slipway::build {
namespace {

constexpr std::int64_t kDockerfileLimit = dockerfile::kFileLimit;

bool is_url(const std::string& text) { return text.starts_with("http://") || text.starts_with("https://"); }

/// "github.com/org/repo" is docker's old shorthand of a context; with a folder of that name it is a path.
std::string expanded(const std::string& text) {
  return text.starts_with("github.com/") ? "https://" + text + (text.contains(".git") ? "" : ".git") : text;
}

bool truth(const std::string& value) {
  const std::string word = lower(value);
  return word == "1" || word == "t" || word == "true";
}

Result<ContextFolder> get_folder(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return fail_errno("cannot open the build context {}", quoted(path));
  if (!S_ISDIR(info.st_mode)) return fail(Code::kInvalidArgument, "the build context {} is not a folder", quoted(path));
  return ContextFolder{path, false, std::nullopt, std::nullopt};
}

/// The content of an archive, or a Dockerfile: its first bytes tell.
Result<ContextFolder> get_stream(const layer::Source& source, const std::string& scratch, const Cancel& cancel) {
  std::string head(kArchiveHead, '\0');
  std::size_t size = 0;
  while (size < head.size()) {
    const std::size_t got = TRY(source(head.data() + size, head.size() - size));
    if (got == 0) break;
    size += got;
  }
  head.resize(size);
  const auto all = [&head, &source, at = std::size_t{0}](char* buffer,
                                                         std::size_t room) mutable -> Result<std::size_t> {
    if (at == head.size()) return source(buffer, room);
    const std::size_t count = head.copy(buffer, room, at);
    at += count;
    return count;
  };
  auto holder = TRY(sys::TempDir::make(scratch, "context-"));
  ContextFolder folder{holder.path(), true, std::nullopt, std::nullopt};
  if (looks_like_archive(head)) {
    TRY(unpack_archive(all, holder.path(), cancel));
  } else {
    std::string text;
    char buffer[16 * 1024];
    auto rest = all;
    while (const std::size_t count = TRY(rest(buffer, sizeof buffer))) {
      text.append(buffer, count);
      if (std::ssize(text) > kDockerfileLimit)
        return fail(Code::kOutOfRange, "it is no archive, and larger than a Dockerfile may be");
      TRY(cancel.check());
    }
    folder.dockerfile = std::move(text);
  }
  folder.holder = std::move(holder);
  return folder;
}

Result<sys::Fd> open_url(const std::string& url, RemoteSources& remotes, const Cancel& cancel) {
  const progress::VertexId vertex = remotes.next_id();
  return remotes.shown(vertex, "load " + shown_url(url), [&]() -> Result<sys::Fd> {
    const RemoteFile file = TRY(remotes.files().look(url, std::nullopt, vertex, cancel));
    return remotes.files().open(url, file, vertex, cancel);
  });
}

Result<ContextFolder> get_git(const Request& request, const Tools& tools, RemoteSources& remotes,
                              const Cancel& cancel) {
  GitReference reference = TRY(GitReference::parse(expanded(request.context)));
  for (const auto& [name, value] : request.build_args)
    if (name == "BUILDKIT_CONTEXT_KEEP_GIT_DIR" && truth(value)) reference.keep_git_dir = true;
  GitSetup setup = remotes.git();
  setup.any_certificate = request.git.any_certificate;
  std::vector<Secret> secrets = request.secrets;
  if (!request.git.authorization.empty()) secrets.push_back({"GIT_AUTH_HEADER", request.git.authorization});
  setup.secrets = &secrets;
  if (setup.ssh_agent.empty()) {  // the person at the command line names this repository, not a Dockerfile
    setup.ssh_agent = tools.ssh_agent;
    setup.agent_only = false;
  }
  GitRepository repository(std::move(reference), setup);
  return remotes.shown(remotes.next_id(), "load git source " + request.context, [&]() -> Result<ContextFolder> {
    const std::string commit = TRY(repository.resolve(cancel));
    auto holder = TRY(sys::TempDir::make(setup.scratch, "context-"));
    TRY(repository.bring_into(commit, holder.path(), cancel));
    std::string directory = holder.path();
    return ContextFolder{std::move(directory), true, std::nullopt, std::move(holder)};
  });
}

/// `path` as seen from `directory`, when it lies below it as it is written.
std::optional<std::string> path_inside(const std::string& directory, const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), &::free);
  if (!here) return std::nullopt;
  const auto cleaned = [&](const std::string& text) {
    return clean_rooted(text.starts_with('/') ? text : std::string(here.get()) + "/" + text);
  };
  const std::string root = cleaned(directory), file = cleaned(path);
  if (root.empty()) return file;
  if (!file.starts_with(root + "/")) return std::nullopt;
  return file.substr(root.size() + 1);
}

/// A file of a trusted path, or of a context. Never blocks on a fifo, but for a pipe that the shell made
/// (`-f <(…)`).
Result<std::string> read_text(const ContextFolder& folder, const std::string& path) {
  sys::Fd fd;
  // Of a context also its Dockerfile is foreign: a link in it must not show a file of this machine.
  const auto inside = folder.remote ? std::optional(path) : path_inside(folder.directory, path);
  if (inside) {
    const sys::Fd root = TRY(sys::open(folder.directory, O_RDONLY | O_DIRECTORY));
    fd = TRY(sys::open_in_root(root.get(), *inside, O_RDONLY | O_NONBLOCK));
  } else {
    fd = TRY(sys::open(path, O_RDONLY | (path.starts_with("/dev/fd/") ? 0 : O_NONBLOCK)));
  }
  const struct stat info = TRY(sys::stat_fd(fd.get(), path));
  if (!S_ISREG(info.st_mode) && !path.starts_with("/dev/fd/"))
    return fail(Code::kInvalidArgument, "{} is not a file", quoted(path));
  return sys::read_all(fd.get(), kDockerfileLimit);
}

std::string dockerfile_path(const Request& request, const ContextFolder& folder) {
  if (folder.remote) return request.dockerfile.empty() ? "Dockerfile" : clean_rooted(request.dockerfile);
  return request.dockerfile.empty() ? folder.directory + "/Dockerfile" : request.dockerfile;
}

/// Name and text.
Result<std::pair<std::string, std::string>> dockerfile_text(const Request& request, const ContextFolder& folder,
                                                            RemoteSources& remotes, const Cancel& cancel) {
  if (request.dockerfile_text) return std::pair(std::string("Dockerfile"), *request.dockerfile_text);
  if (folder.dockerfile) return std::pair(std::string("Dockerfile"), *folder.dockerfile);
  if (is_url(request.dockerfile)) {
    const sys::Fd fd = TRY(open_url(request.dockerfile, remotes, cancel));
    return std::pair(std::string("Dockerfile"), TRY(sys::read_all(fd.get(), kDockerfileLimit)));
  }
  std::string path = dockerfile_path(request, folder);
  auto read = read_text(folder, path);
  const auto missing = [&] { return !read && read.error().sys_errno() == ENOENT; };
  if (missing() && request.dockerfile.empty()) {  // as BuildKit: "dockerfile" is looked for too
    std::string small = path.substr(0, path.size() - std::string_view("Dockerfile").size()) + "dockerfile";
    if (auto found = read_text(folder, small)) {
      read = std::move(found);
      path = std::move(small);
    }
  }
  if (missing()) {
    Error error(Code::kNotFound, fmt::format("failed to read the Dockerfile {}: it is not there", quoted(path)));
    error.with_hint(folder.remote ? "name it with -f, relative to the context"
                                  : "name it with -f, or change to the folder that holds it");
    return std::unexpected(std::move(error));
  }
  return std::pair(path.substr(path.rfind('/') + 1), TRY(context(std::move(read), "while reading the Dockerfile")));
}

/// Foreign frontends are not run. The build argument BUILDKIT_SYNTAX goes before the file's own line.
Status check_syntax(const dockerfile::File& file, const Request& request) {
  std::string syntax = file.directives.syntax;
  bool given = false;
  for (const auto& [name, value] : request.build_args) {
    if (name != "BUILDKIT_SYNTAX" || value.empty()) continue;
    syntax = value;
    given = true;
  }
  if (syntax.empty() || dockerfile::is_built_in_syntax(syntax)) return {};
  Error error(Code::kInvalidArgument,
              fmt::format("the frontend {} is not known; only the Dockerfile language is built in",
                          quoted(syntax.substr(0, syntax.find_first_of(" \t")), 300)));
  if (given) return std::unexpected(std::move(error.with_hint("leave out the build argument BUILDKIT_SYNTAX")));
  const int line = file.directives.syntax_line;
  return std::unexpected(std::move(error.with_range({file.name, line, line})
                                       .with_hint("remove the syntax line, or write # syntax=docker/dockerfile:1")));
}

}  // namespace

ContextKind context_kind(const std::string& text) {
  if (text == "-") return ContextKind::kStream;
  struct stat info{};
  if (text.starts_with("github.com/"))
    return ::stat(text.c_str(), &info) == 0 ? ContextKind::kFolder : ContextKind::kGit;
  if (GitReference::names_one(text)) return ::stat(text.c_str(), &info) == 0 ? ContextKind::kFolder : ContextKind::kGit;
  return is_url(text) ? ContextKind::kUrl : ContextKind::kFolder;
}

namespace {

Result<ContextFolder> get_whole(const Request& request, const Tools& tools, RemoteSources& remotes,
                                const Cancel& cancel) {
  switch (request.git.always ? ContextKind::kGit : context_kind(request.context)) {
    case ContextKind::kFolder:
      return get_folder(request.context);
    case ContextKind::kStream:
      if (!tools.standard_input) return fail(Code::kInternal, "there is no standard input to read the context from");
      return context(get_stream(tools.standard_input, remotes.git().scratch, cancel),
                     "while reading the build context from standard input");
    case ContextKind::kUrl: {
      const sys::Fd fd = TRY(open_url(request.context, remotes, cancel));
      return context(get_stream(source_of_fd(fd.get()), remotes.git().scratch, cancel),
                     "while reading the build context {}", quoted(shown_url(request.context), 300));
    }
    case ContextKind::kGit:
      return get_git(request, tools, remotes, cancel);
  }
  std::unreachable();
}

/// Its directory `path` in place of all of it; links are followed inside.
Status narrow(ContextFolder& folder, const std::string& path) {
  const sys::Fd root = TRY(sys::open(folder.directory, O_RDONLY | O_DIRECTORY));
  const auto inside = sys::open_in_root(root.get(), path, O_RDONLY | O_DIRECTORY);
  if (!inside)
    return fail(Code::kNotFound, "the build context has no directory {}: {}", quoted(path, 300), inside.error().what());
  const std::unique_ptr<char, decltype(&::free)> real(
      ::realpath(fmt::format("/proc/self/fd/{}", inside->get()).c_str(), nullptr), &::free);
  if (!real) return fail_errno("cannot tell where the directory {} of the build context is", quoted(path, 300));
  folder.directory = real.get();
  return {};
}

}  // namespace

Result<ContextFolder> get_context(const Request& request, const Tools& tools, RemoteSources& remotes,
                                  const Cancel& cancel) {
  auto folder = TRY(get_whole(request, tools, remotes, cancel));
  if (!request.context_directory.empty()) TRY(narrow(folder, request.context_directory));
  return folder;
}

Result<dockerfile::File> read_dockerfile(const Request& request, const ContextFolder& folder, RemoteSources& remotes,
                                         const Cancel& cancel) {
  auto [name, text] = TRY(dockerfile_text(request, folder, remotes, cancel));
  dockerfile::File file = TRY(dockerfile::parse(text, name));
  TRY(check_syntax(file, request));
  return file;
}

Result<std::shared_ptr<Context>> open_context(store::Store& store, const Request& request,
                                              const ContextFolder& folder) {
  std::optional<IgnoreFile> own;
  if (!request.dockerfile_text && !folder.dockerfile && !is_url(request.dockerfile)) {
    const std::string path = dockerfile_path(request, folder) + ".dockerignore";
    auto text = read_text(folder, path);
    if (text)
      own = IgnoreFile{path.substr(path.rfind('/') + 1), *std::move(text)};
    else if (text.error().sys_errno() != ENOENT && text.error().sys_errno() != ENOTDIR)
      return std::unexpected(std::move(text).error());
  }
  return open_tree(store, folder.directory, std::move(own));
}

Result<std::shared_ptr<Context>> open_folder(store::Store& store, const std::string& directory) {
  return open_tree(store, directory, std::nullopt);
}

}  // namespace slipway::build
