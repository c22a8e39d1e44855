// libcurl, loaded when the first transfer needs it. Linking it would map some thirty libraries into every command:
// measured 4 ms of processor time at each start, which `slipway version` and a cached build never give back.
#pragma once

#include <curl/curl.h>

#include "base/error.hpp"

// Its checking macros would hide the members below; calls go through Transfer's typed setters instead.
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
#undef curl_share_setopt

namespace slipway::http {

/// The functions we call. Valid for the rest of the process; safe in any thread.
struct CurlLibrary {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_version_info) version_info;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
};

/// kUnimplemented when libcurl.so.4 (the OpenSSL one) is not installed or older than 7.87.
[[nodiscard]] Result<const CurlLibrary*> curl_library();

}  // namespace slipway::http
