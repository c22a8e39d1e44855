#include "build/remote_source.hpp"

#include <sys/stat.h>

#include "build/context_archive.hpp"
#include "build/frontend.hpp"
#include "build/git_source.hpp"
#include "build/layer_op.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::string_view kContextFile = "context";  // BuildKit's name of a named context that is one file

Status copy_all(int from, int to, const std::string& name, const Cancel& cancel) {
  std::string buffer(256 * 1024, '\0');
  while (const std::size_t got = TRY(sys::read_some(from, buffer.data(), buffer.size()))) {
    TRY(cancel.check());
    TRY(context(sys::write_all(to, {buffer.data(), got}), "while writing {}", quoted(name)));
  }
  return {};
}

class UrlSource final : public RemoteSource {
 public:
  UrlSource(std::string url, std::optional<oci::Digest> checksum, bool unpack, RemoteSources& sources)
      : url_(std::move(url)), checksum_(checksum), unpack_(unpack), sources_(sources) {}

  Result<oci::Digest> key(const Cancel& cancel) override {
    file_ = TRY(sources_.shown(look_vertex_, "load " + shown_url(url_),
                               [&] { return sources_.files().look(url_, checksum_, look_vertex_, cancel); }));
    return Definition("url")
        .add("content", file_->digest.text())
        .add("name", unpack_ ? "" : file_->name)
        .add("unpack", unpack_ ? "1" : "0")
        .finish();
  }

  Status fetch(const std::string& directory, const Cancel& cancel) override {
    const sys::Fd bytes = TRY(sources_.files().open(url_, *file_, look_vertex_, cancel));
    std::string head(kArchiveHead, '\0');
    head.resize(unpack_ ? TRY(sys::read_some_at(bytes.get(), head.data(), head.size(), 0)) : 0);
    if (looks_like_archive(head))
      return context(unpack_archive(source_of_fd(bytes.get()), directory, cancel), "while unpacking {}",
                     quoted(shown_url(url_), 300));
    return place(bytes.get(), directory, unpack_ ? std::string(kContextFile) : file_->name, cancel);
  }

 private:
  Status place(int bytes, const std::string& directory, const std::string& name, const Cancel& cancel) const {
    const sys::Fd into = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
    const sys::Fd to = TRY(sys::open_at(into.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    TRY(copy_all(bytes, to.get(), name, cancel));
    const timespec times[2] = {{file_->modified, 0}, {file_->modified, 0}};
    if (::fchmod(to.get(), 0600) < 0 || ::futimens(to.get(), times) < 0)
      return fail_errno("cannot set the attributes of {}", quoted(name));
    return {};
  }

  std::string url_;
  std::optional<oci::Digest> checksum_;
  bool unpack_;
  RemoteSources& sources_;
  progress::VertexId look_vertex_ = sources_.next_id();
  std::optional<RemoteFile> file_;
};

}  // namespace

RemoteSources::RemoteSources(const Workshop& shop, const Request& request, const Tools& tools, VertexIds& ids,
                             std::string ssh_agent)
    : shop_(shop),
      ids_(ids),
      files_(shop, tools.http, request.secrets),
      git_{.scratch = shop.lease.directory(),
           .search_path = tools.search_path,
           .ssh_agent = std::move(ssh_agent),
           .proxies = request.proxies,
           .ca_file = tools.http.ca_file,
           .ca_directory = tools.http.ca_directory,
           .secrets = &request.secrets,
           .disk_bytes = tools.git_disk_bytes} {}

progress::VertexId RemoteSources::next_id() { return ids_.next(); }

bool RemoteSources::is_git(const std::string& text) { return GitReference::names_one(text); }

bool RemoteSources::is_remote(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://") || GitReference::names_one(text);
}

Result<std::shared_ptr<RemoteSource>> RemoteSources::of(const std::string& text, const RemoteOptions& options) {
  if (GitReference::names_one(text)) {
    GitReference git = TRY(GitReference::parse(text));
    if (!options.checksum.empty()) {
      TRY(check_git_checksum(options.checksum));
      if (!git.checksum.empty() && git.checksum != options.checksum)
        return fail(Code::kInvalidArgument, "checksum conflicts: {} vs {}", quoted(git.checksum, 200),
                    quoted(options.checksum, 200));
      git.checksum = options.checksum;
    }
    if (options.keep_git_dir) git.keep_git_dir = true;
    return git_source(std::move(git), *this);
  }
  (void)TRY(http::Url::parse(text));
  std::optional<oci::Digest> checksum;
  if (!options.checksum.empty())
    checksum = TRY(context(oci::Digest::parse(options.checksum), "while reading --checksum"));
  return std::make_shared<UrlSource>(text, checksum, options.unpack_as_context, *this);
}

}  // namespace slipway::build
