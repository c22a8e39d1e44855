#include "http/curl_library.hpp"

#include <dlfcn.h>

namespace slipway::http {
namespace {

constexpr unsigned kOldest = 0x075700;  // 7.87: CURLOPT_CA_CACHE_TIMEOUT, CURLOPT_QUICK_EXIT

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<CurlLibrary> open_library() {
  void* library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);  // never closed: it keeps threads and atexit state
  if (library == nullptr) {
    const char* reason = ::dlerror();
    return std::unexpected(Error(Code::kUnimplemented, fmt::format("cannot load libcurl: {}", reason ? reason : "?"))
                               .with_hint("install the package libcurl4"));
  }
  CurlLibrary curl{};
  const bool complete =
      find(library, "curl_global_init", curl.global_init) && find(library, "curl_version_info", curl.version_info) &&
      find(library, "curl_easy_init", curl.easy_init) && find(library, "curl_easy_cleanup", curl.easy_cleanup) &&
      find(library, "curl_easy_reset", curl.easy_reset) && find(library, "curl_easy_setopt", curl.easy_setopt) &&
      find(library, "curl_easy_getinfo", curl.easy_getinfo) &&
      find(library, "curl_easy_strerror", curl.easy_strerror) && find(library, "curl_multi_init", curl.multi_init) &&
      find(library, "curl_multi_cleanup", curl.multi_cleanup) &&
      find(library, "curl_multi_add_handle", curl.multi_add_handle) &&
      find(library, "curl_multi_remove_handle", curl.multi_remove_handle) &&
      find(library, "curl_multi_perform", curl.multi_perform) && find(library, "curl_multi_poll", curl.multi_poll) &&
      find(library, "curl_multi_info_read", curl.multi_info_read) &&
      find(library, "curl_slist_append", curl.slist_append) &&
      find(library, "curl_slist_free_all", curl.slist_free_all);
  if (!complete || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return fail(Code::kUnimplemented, "libcurl.so.4 is there but can not be used");
  const auto* version = curl.version_info(CURLVERSION_NOW);
  if (version->version_num < kOldest)
    return fail(Code::kUnimplemented, "libcurl {} is too old: 7.87 is needed", version->version);
  // Its SSL_CTX and our X509_STORE meet in one process: they must be of one library.
  const std::string_view ssl = version->ssl_version != nullptr ? version->ssl_version : "none";
  if (!ssl.starts_with("OpenSSL/3."))
    return fail(Code::kUnimplemented, "libcurl was built with {}, OpenSSL 3 is needed", ssl);
  return curl;
}

}  // namespace

Result<const CurlLibrary*> curl_library() {
  static const Result<CurlLibrary> library = open_library();
  if (!library) return std::unexpected(library.error());
  return &*library;
}

}  // namespace slipway::http
