#include "cli/s3_url.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <ctime>

#include "base/text.hpp"
#include "http/url.hpp"
#include "oci/digest.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kLongestBucket = 255;

/// RFC 3986's unreserved characters stay; "/" too where it separates.
std::string encoded(std::string_view text, bool slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").contains(c) || (c == '/' && slashes);
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string hmac(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), out, &size);
  return {reinterpret_cast<const char*>(out), size};
}

std::string sha256_hex(std::string_view text) {
  const std::string digest = oci::Digest::of(text).text();
  return digest.substr(digest.find(':') + 1);
}

struct Times {
  std::string day, second;  ///< "20130524", "20130524T000000Z"
};
Times times_of(Timestamp now) {
  const std::time_t seconds = now.seconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  const std::string day = fmt::format("{:04}{:02}{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
  return {day, fmt::format("{}T{:02}{:02}{:02}Z", day, parts.tm_hour, parts.tm_min, parts.tm_sec)};
}

bool is_bucket(std::string_view name) {
  return !name.empty() && name.size() <= kLongestBucket && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                  c == '_';
         });
}

}  // namespace

Result<std::string> signed_s3_url(const S3Access& access, const std::string& bucket, const std::string& key,
                                  Timestamp now, int seconds) {
  if (!is_bucket(bucket)) return fail(Code::kUsage, "{} is no name of a bucket", quoted(bucket, 300));
  if (!std::ranges::all_of(access.region,
                           [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }))
    return fail(Code::kUsage, "AWS_REGION is {}, which is no region", quoted(access.region, 64));
  const std::string standard = access.region == "us-east-1" ? "https://s3.amazonaws.com"
                                                            : fmt::format("https://s3.{}.amazonaws.com", access.region);
  const http::Url endpoint =
      TRY(context(http::Url::parse(access.endpoint.empty() ? standard : access.endpoint), "while reading S3_ENDPOINT"));
  // a bucket with dots has no certificate of its own, and an address has no names below it
  const bool path_style = access.path_style || bucket.contains('.');
  const std::string host = path_style ? endpoint.authority() : bucket + "." + endpoint.authority();
  std::string base = endpoint.target();
  while (base.ends_with('/')) base.pop_back();
  const std::string path =
      base + (path_style ? "/" + encoded(bucket, false) : std::string()) + "/" + encoded(key, true);

  const Times times = times_of(now);
  const std::string scope = fmt::format("{}/{}/s3/aws4_request", times.day, access.region);
  std::string query = fmt::format("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={}",
                                  encoded(access.key_id + "/" + scope, false), times.second, seconds);
  if (!access.session_token.empty()) query += "&X-Amz-Security-Token=" + encoded(access.session_token, false);
  query += "&X-Amz-SignedHeaders=host";
  const std::string canonical = fmt::format("GET\n{}\n{}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", path, query, host);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", times.second, scope, sha256_hex(canonical));
  const std::string signing =
      hmac(hmac(hmac(hmac("AWS4" + access.secret, times.day), access.region), "s3"), "aws4_request");
  return fmt::format("{}://{}{}?{}&X-Amz-Signature={}", endpoint.scheme(), host, path, query,
                     hex(hmac(signing, to_sign)));
}

}  // namespace slipway::cli
