// Remote files: one http(s) URL, its bytes in the store.
//
//   RemoteFile file = TRY(files.look(url, checksum, vertex, cancel));     // asks the server, transfers if it must
//   sys::Fd bytes = TRY(files.open(url, file, vertex, cancel));           // what `file.digest` names
//
// Redirects are followed here, at most 10, never from https to http; credentials (secrets HTTP_AUTH_TOKEN_host,
// HTTP_AUTH_HEADER_host) go to the origin that the URL names and nowhere else. What a server said of a file (ETag,
// Last-Modified) is remembered in the store: the next look is a conditional request. What was had with credentials is
// remembered apart, and always asked for: who has none is to get what the server gives to nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/build.hpp"
#include "build/stack.hpp"
#include "http/client.hpp"
#include "oci/digest.hpp"
#include "sys/fd.hpp"

namespace slipway::build {

struct RemoteFile {
  oci::Digest digest;  ///< sha256 of the bytes
  std::int64_t size = 0;
  std::string name;           ///< one path component: what the file is called in a directory
  std::int64_t modified = 0;  ///< Last-Modified in seconds since the epoch; 0 when the server does not say
};

/// The URL without its query, which may hold a credential (a signature, a token): for progress and errors.
[[nodiscard]] std::string shown_url(std::string_view url);

class RemoteFiles {
 public:
  static constexpr std::int64_t kSizeLimit = std::int64_t{16} << 30;
  static constexpr int kRedirectLimit = 10;

  RemoteFiles(const Workshop& shop, http::ClientOptions options, const std::vector<Secret>& secrets)
      : shop_(shop), client_(std::move(options)), secrets_(secrets) {}

  /// What the URL holds now. With a `checksum` the bytes are verified before anything is kept; the error is "digest
  /// mismatch GOT: WANTED". A status that is no success: "invalid response status 404 from URL".
  [[nodiscard]] Result<RemoteFile> look(const std::string& url, const std::optional<oci::Digest>& checksum,
                                        progress::VertexId vertex, const Cancel& cancel) const;
  /// The bytes, from the store or transferred again. kAborted when the server has others by now.
  [[nodiscard]] Result<sys::Fd> open(const std::string& url, const RemoteFile& file, progress::VertexId vertex,
                                     const Cancel& cancel) const;

 private:
  struct Known;
  struct Answer;
  [[nodiscard]] Result<std::optional<Known>> recall(const http::Url& url) const;
  [[nodiscard]] Result<std::string> fact_id(const http::Url& url) const;
  [[nodiscard]] Status remember(const http::Url& url, const Known& known) const;
  [[nodiscard]] Result<std::optional<http::Header>> authorization(const http::Url& url) const;
  [[nodiscard]] Result<Answer> get(const http::Url& url, const std::vector<http::Header>& conditions,
                                   const std::optional<oci::Digest>& checksum, progress::VertexId vertex,
                                   const Cancel& cancel) const;
  [[nodiscard]] Result<Answer> exchange(const http::Request& request, const std::optional<oci::Digest>& checksum,
                                        progress::VertexId vertex, const Cancel& cancel) const;
  [[nodiscard]] std::expected<Answer, http::Failure> attempt(const http::Request& request,
                                                             const std::optional<oci::Digest>& checksum,
                                                             progress::VertexId vertex, const Cancel& cancel) const;

  const Workshop& shop_;
  http::Client client_;
  const std::vector<Secret>& secrets_;
};

/// The name of a URL's file: the last component of its path, else what Content-Disposition says, else "__unnamed__".
[[nodiscard]] std::string remote_file_name(const http::Url& url, const std::optional<std::string>& disposition);

/// Seconds of an HTTP date ("Tue, 14 Nov 2023 22:13:20 GMT"); nothing when it is none.
[[nodiscard]] std::optional<std::int64_t> parse_http_date(const std::string& text);

}  // namespace slipway::build
