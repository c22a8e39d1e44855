#include "oci/descriptor.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "oci/canonical_json.hpp"
#include "oci/json.hpp"

namespace slipway::oci {
namespace {

/// Enough of RFC 6838 that a media type can stand in a header and on a terminal.
bool is_media_type(std::string_view text) {
  return !text.empty() && text.size() <= 255 && text.find('/') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

void write_platform(JsonWriter& json, const Platform& platform) {
  json.begin_object();
  json.member("architecture", platform.architecture);
  json.member("os", platform.os);
  json.nonempty("os.version", platform.os_version);
  json.nonempty("os.features", platform.os_features);
  json.nonempty("variant", platform.variant);
  json.end_object();
}

}  // namespace

Result<Platform> read_platform(const Json& json) {
  TRY(json.refuse_lookalikes({"architecture", "os", "os.version", "os.features", "variant"}));
  Platform out;
  out.architecture = TRY(json.string("architecture"));
  out.os = TRY(json.string("os"));
  out.os_version = TRY(json.string("os.version"));
  if (const auto features = json.find("os.features")) out.os_features = TRY(features->as_strings());
  out.variant = TRY(json.string("variant"));
  return out;
}

Result<std::map<std::string, std::string>> read_string_map(const Json& json, std::string_view name) {
  std::map<std::string, std::string> out;
  for (const Json member : TRY(json.map(name))) out.emplace(member.key(), TRY(member.as_string()));
  return out;
}

Result<Descriptor> read_descriptor(const Json& json) {
  TRY(json.require_object());
  TRY(json.refuse_lookalikes(
      {"mediaType", "digest", "size", "urls", "annotations", "platform", "artifactType", "data"}));
  const std::string_view type = TRY(json.need_string("mediaType"));
  if (!is_media_type(type)) {
    return fail(Code::kInvalidArgument, "{}.mediaType is no media type: {}", json.path(), quoted(type, 128));
  }
  const std::string_view digest = TRY(json.need_string("digest"));
  // No TRY inside the braces: g++ 12 does not destroy the members made so far when it returns from there.
  const Digest name = TRY(context(Digest::parse(digest), "while reading {}.digest", json.path()));
  const std::int64_t size = TRY(json.need_int63("size"));
  Descriptor out{.media_type = std::string(type), .digest = name, .size = size};
  if (const auto urls = json.find("urls")) out.urls = TRY(urls->as_strings());
  out.annotations = TRY(read_string_map(json, "annotations"));
  if (const auto platform = json.find("platform")) {
    TRY(platform->require_object());
    out.platform = TRY(read_platform(*platform));
  }
  out.artifact_type = TRY(json.string("artifactType"));
  return out;
}

void write_descriptor(JsonWriter& json, const Descriptor& descriptor) {
  json.begin_object();
  json.member("mediaType", descriptor.media_type);
  json.member("digest", descriptor.digest.text());
  json.member("size", descriptor.size);
  json.nonempty("urls", descriptor.urls);
  json.nonempty("annotations", descriptor.annotations);
  if (descriptor.platform) {
    json.key("platform");
    write_platform(json, *descriptor.platform);
  }
  json.nonempty("artifactType", descriptor.artifact_type);
  json.end_object();
}

Result<std::string> agreed_media_type(const Json& document, std::string_view said, std::string_view wanted_oci,
                                      std::string_view wanted_docker) {
  TRY(document.require_object());
  if (document.find("fsLayers")) {
    return std::unexpected(Error(Code::kUnimplemented, "the document is a Docker schema 1 manifest, a format given up")
                               .with_hint("push the image again with a program younger than 2017"));
  }
  const std::int64_t version = TRY(document.need_int63("schemaVersion"));
  if (version != 2) return fail(Code::kInvalidArgument, "schemaVersion is {}; only 2 is known", version);
  const std::string own = TRY(document.string("mediaType"));
  if (!own.empty() && !said.empty() && own != said) {
    return fail(Code::kInvalidArgument, "the document calls itself {} but was named as {}", quoted(own, 128),
                quoted(said, 128));
  }
  const std::string_view type = !own.empty() ? std::string_view(own) : !said.empty() ? said : wanted_oci;
  if (type != wanted_oci && type != wanted_docker) {
    return fail(Code::kInvalidArgument, "the media type is {}, not {} or {}", quoted(type, 128), wanted_oci,
                wanted_docker);
  }
  return std::string(type);
}

Status refuse_members(const Json& document, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (document.find(name)) {
      return fail(Code::kInvalidArgument, "the document has {}, which would make it another kind of document", name);
    }
  }
  return {};
}

}  // namespace slipway::oci
