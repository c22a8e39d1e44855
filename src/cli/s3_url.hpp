// S3Url: a file of an S3 bucket as an https address that carries its signature (AWS Signature Version 4, "query
// string"), so that whatever fetches a URL can fetch it and sees no credentials.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/time.hpp"

namespace slipway::cli {

struct S3Access {
  std::string key_id, secret;
  std::string session_token;  ///< of temporary credentials; empty: none
  std::string region = "us-east-1";
  std::string endpoint;     ///< "https://minio.example:9000"; empty: Amazon's
  bool path_style = false;  ///< ENDPOINT/BUCKET/KEY in place of BUCKET.ENDPOINT/KEY
};

/// GET of `key` in `bucket`, good for `seconds` from `now`. Errors: a bucket or endpoint that is none.
[[nodiscard]] Result<std::string> signed_s3_url(const S3Access& access, const std::string& bucket,
                                                const std::string& key, Timestamp now, int seconds);

}  // namespace slipway::cli
