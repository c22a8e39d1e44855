#include "cli/executor/context.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/s3_url.hpp"
#include "registry/base64.hpp"

namespace slipway::cli {
namespace {

constexpr int kSignatureSeconds = 3600;

std::string variable(const registry::Environment& environment, const std::string& name) {
  return environment(name).value_or("");
}

Error refused(std::string what, std::string way_out) {
  return Error(Code::kUnimplemented, std::move(what)).with_hint(std::move(way_out));
}

/// For a value of a query.
std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").contains(c);
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto digit = [&](std::size_t at) {
      const std::string_view digits = "0123456789abcdef";
      return at < text.size() ? digits.find(lower(text.substr(at, 1))) : std::string_view::npos;
    };
    const auto high = digit(i + 1), low = digit(i + 2);
    if (high == std::string_view::npos || low == std::string_view::npos)
      return fail(Code::kUsage, "the credentials in the address of the git context are not percent-encoded");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

/// Who we are to the repository: of the environment as kaniko reads it, else of the address.
Result<std::string> authorization(std::string_view user_information, const registry::Environment& environment) {
  std::string user = variable(environment, "GIT_USERNAME"), password = variable(environment, "GIT_PASSWORD");
  if (const std::string token = variable(environment, "GIT_TOKEN"); !token.empty()) {
    user = token;
    password.clear();
  }
  if (user.empty() && password.empty() && !user_information.empty()) {
    const auto colon = user_information.find(':');
    user = TRY(decoded(user_information.substr(0, colon)));
    if (colon != std::string_view::npos) password = TRY(decoded(user_information.substr(colon + 1)));
  }
  if (user.empty() && password.empty()) return "";
  return "Basic " + registry::base64_encode(user + ":" + password);
}

/// HOST/PATH[#REF[#COMMIT]]
Result<ExecutorContext> git_context(std::string_view text, const ExecutorGit& git,
                                    const registry::Environment& environment) {
  const auto parts = split(text, '#');
  std::string_view address = parts[0];
  std::string_view user_information;
  if (const auto at = address.substr(0, address.find('/')).rfind('@'); at != std::string_view::npos) {
    user_information = address.substr(0, at);
    address.remove_prefix(at + 1);
  }
  const std::string method = variable(environment, "GIT_PULL_METHOD");
  std::string ref = git.branch;
  if (ref.empty() && parts.size() > 1) ref = parts[1];
  if (parts.size() > 2 && !parts[2].empty()) ref = parts[2];
  ExecutorContext out;
  // as kaniko: the clone is the context, with its .git
  out.context = fmt::format("{}://{}?keep-git-dir=true&submodules={}", method == "http" ? "http" : "https", address,
                            git.submodules ? "true" : "false");
  if (!ref.empty()) out.context += "&ref=" + encoded(ref);
  out.git.always = true;
  out.git.any_certificate = git.any_certificate;
  out.git.authorization = TRY(authorization(user_information, environment));
  return out;
}

Result<std::string> s3_context(std::string_view text, const registry::Environment& environment, Timestamp now) {
  const auto slash = text.find('/');
  const std::string bucket(text.substr(0, slash));
  const std::string key(slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1));
  if (key.empty())
    return fail(Code::kUsage, "the context s3://{} names no file; write s3://BUCKET/FILE", printable(text, 300));
  S3Access access{.key_id = variable(environment, "AWS_ACCESS_KEY_ID"),
                  .secret = variable(environment, "AWS_SECRET_ACCESS_KEY"),
                  .session_token = variable(environment, "AWS_SESSION_TOKEN"),
                  .endpoint = variable(environment, "S3_ENDPOINT"),
                  .path_style = lower(variable(environment, "S3_FORCE_PATH_STYLE")) == "true"};
  if (access.key_id.empty() || access.secret.empty())
    return std::unexpected(
        refused("an s3:// context needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; profiles and instance roles are "
                "not asked",
                "set them, or hand the archive over: aws s3 cp s3://… - | executor --context tar://stdin …"));
  for (const auto* name : {"AWS_DEFAULT_REGION", "AWS_REGION"})
    if (const std::string region = variable(environment, name); !region.empty()) access.region = region;
  return signed_s3_url(access, bucket, key, now, kSignatureSeconds);
}

/// A blob of Azure's storage: kaniko signs with the account's key; an address with a signature needs none.
Status check_azure(const std::string& url, const registry::Environment& environment) {
  const std::string_view rest = std::string_view(url).substr(std::string_view("https://").size());
  const std::string_view host = rest.substr(0, rest.find('/'));
  const bool azure = std::ranges::any_of(
      std::initializer_list<std::string_view>{".blob.core.windows.net", ".blob.core.chinacloudapi.cn",
                                              ".blob.core.cloudapi.de", ".blob.core.usgovcloudapi.net"},
      [&](std::string_view end) { return host.ends_with(end); });
  if (!azure || url.contains("sig=") || variable(environment, "AZURE_STORAGE_ACCESS_KEY").empty()) return {};
  return std::unexpected(
      refused("an Azure blob is not fetched with AZURE_STORAGE_ACCESS_KEY",
              "give the address with a signature (az storage blob generate-sas --full-uri …), or hand the archive "
              "over: az storage blob download … | executor --context tar://stdin …"));
}

Result<ExecutorContext> parse(const std::string& text, const ExecutorOptions& options,
                              const registry::Environment& environment, Timestamp now) {
  const auto colon = text.find("://");
  if (colon == std::string::npos) return ExecutorContext{.context = text};
  const std::string scheme = text.substr(0, colon), rest = text.substr(colon + 3);
  if (scheme == "dir") return ExecutorContext{.context = rest};
  if (scheme == "tar") return ExecutorContext{.context = "-", .archive = rest == "stdin" ? "" : rest};
  if (scheme == "git") return git_context(rest, options.git, environment);
  if (scheme == "s3") {
    ExecutorContext out;
    out.context = TRY(s3_context(rest, environment, now));
    return out;
  }
  if (scheme == "gs")
    return std::unexpected(refused(
        fmt::format("a gs:// context ({}) is not fetched: Google's credentials are not read", printable(text, 300)),
        "hand the archive over: gcloud storage cat gs://… | executor --context tar://stdin …, or give a "
        "signed https:// address"));
  if (scheme == "https" || scheme == "http") {
    if (scheme == "https") TRY(check_azure(text, environment));
    return ExecutorContext{.context = text};
  }
  return fail(Code::kUsage,
              "unknown build context prefix provided, please use one of the following: gs://, dir://, tar://, s3://, "
              "git://, https://");
}

}  // namespace

Result<ExecutorContext> executor_context(const ExecutorOptions& options, const registry::Environment& environment,
                                         Timestamp now) {
  auto out = TRY(context(parse(options.context, options, environment, now), "error resolving source context"));
  if (options.sub_path.empty()) return out;
  if (options.context.contains("://")) {
    out.directory = options.sub_path;
  } else {
    out.note = "--context-sub-path is for contexts with a prefix such as dir:// and changes nothing here, as in kaniko";
  }
  return out;
}

}  // namespace slipway::cli
