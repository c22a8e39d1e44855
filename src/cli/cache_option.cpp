#include "cli/cache_option.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "cli/output_option.hpp"
#include "oci/reference.hpp"

namespace slipway::cli {
namespace {

using Attributes = std::map<std::string, std::string>;

/// A type of cache: the keys it has, the one that tells where it is, and those it can not be without.
struct CacheType {
  std::string_view name;
  std::string_view place_from, place_to;  ///< told in the warning
  std::string_view needs_from, needs_to;  ///< separated by blanks; KEY|VARIABLE may come from the environment
  std::string_view keys;                  ///< besides type and those of kCommonTo
};

constexpr std::string_view kCommonTo =
    "mode ignore-error image-manifest oci-mediatypes compression compression-level force-compression";

constexpr CacheType kTypes[] = {
    {"inline", "", "", "", "", ""},
    {"registry", "ref", "ref", "ref", "ref", "ref registry.insecure"},
    {"local", "src", "dest", "src", "dest", "src dest digest tag"},
    {"gha", "scope", "scope", "", "", "scope token url url_v2 version repository ghtoken timeout"},
    {"s3", "bucket", "bucket", "bucket region|AWS_REGION", "bucket region|AWS_REGION",
     "region bucket name prefix blobs_prefix manifests_prefix endpoint_url access_key_id secret_access_key "
     "session_token use_path_style touch_refresh upload_parallelism"},
    {"azblob", "account_url", "account_url", "account_url|BUILDKIT_AZURE_STORAGE_ACCOUNT_URL",
     "account_url|BUILDKIT_AZURE_STORAGE_ACCOUNT_URL",
     "account_url account_name secret_access_key name prefix container blobs_prefix manifests_prefix"},
};

constexpr std::string_view kSwitches[] = {"ignore-error",      "image-manifest",    "oci-mediatypes",
                                          "force-compression", "registry.insecure", "use_path_style"};

std::string_view option_of(CacheWay way) { return way == CacheWay::kFrom ? "--cache-from" : "--cache-to"; }

Error usage(CacheWay way, const std::string& text) {
  return {Code::kUsage, fmt::format("option {}: {}", option_of(way), text)};
}

std::vector<std::string_view> words_of(std::string_view text) {
  auto words = split(text, ' ');
  std::erase(words, "");
  return words;
}

Result<const CacheType*> find_type(CacheWay way, const std::string& name) {
  std::vector<std::string_view> names;
  for (const auto& type : kTypes) {
    if (type.name == name) return &type;
    names.push_back(type.name);
  }
  const std::string near = nearest(name, names);
  return std::unexpected(
      usage(way, fmt::format("there is no cache of type {}; there are inline, registry, local, gha, s3 and azblob{}",
                             quoted(name, 64), near.empty() ? "" : fmt::format("; did you mean {}?", near))));
}

Status check_reference(CacheWay way, const std::string& text) {
  const auto reference = oci::Reference::parse(text);
  if (reference) return {};
  return std::unexpected(usage(way, reference.error().what()));
}

Status check_value(CacheWay way, const std::string& key, const std::string& value) {
  if (std::find(std::begin(kSwitches), std::end(kSwitches), key) != std::end(kSwitches)) {
    (void)TRY(parse_bool(value, fmt::format("option {}: {}", option_of(way), key)));
  } else if (key == "mode" && value != "min" && value != "max") {
    return std::unexpected(usage(way, fmt::format("mode is min or max, not {}", quoted(value, 64))));
  } else if (key == "compression" && value != "uncompressed" && value != "gzip" && value != "estargz" &&
             value != "zstd") {
    return std::unexpected(
        usage(way, fmt::format("compression is uncompressed, gzip, estargz or zstd, not {}", quoted(value, 64))));
  } else if ((key == "compression-level" || key == "upload_parallelism") && !parse_size(value)) {
    return std::unexpected(usage(way, fmt::format("{} is a number, not {}", key, quoted(value, 64))));
  } else if (key == "ref") {
    return check_reference(way, value);
  }
  return {};
}

Status check_keys(CacheWay way, const CacheType& type, const Attributes& given) {
  auto known = words_of(type.keys);
  const auto common = words_of(kCommonTo);
  // An import may say how the export was made: files of settings are shared.
  known.insert(known.end(), common.begin(), common.end());
  for (const auto& [key, value] : given) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      const std::string near = nearest(key, known);
      return std::unexpected(usage(way, fmt::format("type={} does not know {}{}", type.name, quoted(key, 64),
                                                    near.empty() ? "" : fmt::format("; did you mean {}?", near))));
    }
    TRY(check_value(way, key, value));
  }
  return {};
}

Status check_needs(CacheWay way, const CacheType& type, const Attributes& given,
                   const registry::Environment& environment) {
  for (const auto need : words_of(way == CacheWay::kFrom ? type.needs_from : type.needs_to)) {
    const auto bar = need.find('|');
    const std::string key(need.substr(0, bar));
    const auto found = given.find(key);
    if (found != given.end() && !found->second.empty()) continue;
    if (bar != std::string_view::npos && !environment(std::string(need.substr(bar + 1))).value_or("").empty()) continue;
    return std::unexpected(usage(way, fmt::format("type={} needs {}=…", type.name, key)));
  }
  return {};
}

std::string shown(CacheWay way, const CacheType& type, const Attributes& given) {
  const std::string place(way == CacheWay::kFrom ? type.place_from : type.place_to);
  const auto found = given.find(place);
  std::string text = fmt::format("type={}", type.name);
  if (found == given.end()) return text;
  // A URL may hold a signature behind its "?": where the cache is, is told without it.
  return text + fmt::format(",{}={}", place,
                            printable(std::string_view(found->second).substr(0, found->second.find('?')), 256));
}

bool switch_of(const Attributes& given, const std::string& key, bool usual) {
  const auto found = given.find(key);
  if (found == given.end()) return usual;
  return parse_bool(found->second, key).value_or(usual);  // it was judged before
}

std::string value_of(const Attributes& given, const std::string& key) {
  const auto found = given.find(key);
  return found == given.end() ? std::string() : found->second;
}

Result<build::CachePlace> place_of(CacheWay way, const CacheType& type, const Attributes& given) {
  build::CachePlace place;
  place.title = shown(way, type, given);
  if (type.name == "registry") {
    place.reference = TRY(oci::Reference::parse(value_of(given, "ref")));
    place.insecure = switch_of(given, "registry.insecure", false);
    return place;
  }
  place.directory = value_of(given, way == CacheWay::kFrom ? "src" : "dest");
  if (const std::string tag = value_of(given, "tag"); !tag.empty()) place.tag = tag;
  if (const std::string text = value_of(given, "digest"); !text.empty() && way == CacheWay::kFrom) {
    const auto digest = oci::Digest::parse(text);
    if (!digest) return std::unexpected(usage(way, digest.error().what()));
    place.digest = *digest;
  }
  return place;
}

/// How the layers of a cache are compressed.
Status set_format(const Attributes& given, build::CacheTarget& target) {
  auto& format = target.format;
  const std::string name = value_of(given, "compression"), level = value_of(given, "compression-level");
  if (name == "estargz")
    return std::unexpected(
        usage(CacheWay::kTo, "compression=estargz is not in this version; there are uncompressed, gzip and zstd"));
  if (name == "uncompressed") format.compression = oci::Compression::kNone;
  if (name == "gzip") format.compression = oci::Compression::kGzip;
  if (name == "zstd") format.compression = oci::Compression::kZstd;
  format.force = switch_of(given, "force-compression", false);
  if (format.force && !format.compression) format.compression = oci::Compression::kGzip;
  if (level.empty() || format.compression == oci::Compression::kNone) return {};
  const bool zstd = format.compression == oci::Compression::kZstd;
  const auto number = parse_size(level);
  if (!number || *number > (zstd ? 22 : 9))
    return std::unexpected(usage(CacheWay::kTo, fmt::format("compression-level of {} is 0 to {}, not {}",
                                                            zstd ? "zstd" : "gzip", zstd ? 22 : 9, quoted(level, 64))));
  if (!format.compression) format.compression = oci::Compression::kGzip;
  if (!zstd || *number > 0) format.level = static_cast<int>(*number);
  return {};
}

Result<build::CacheTarget> target_of(const CacheType& type, const Attributes& given) {
  build::CacheTarget target;
  target.all = value_of(given, "mode") == "max";
  target.ignore_error = switch_of(given, "ignore-error", false);
  if (type.name == "inline") {
    target.in_image = true;
    return target;
  }
  target.place = TRY(place_of(CacheWay::kTo, type, given));
  const bool oci = switch_of(given, "oci-mediatypes", true);
  target.image_manifest = switch_of(given, "image-manifest", oci);
  if (target.image_manifest && !oci)
    return std::unexpected(
        usage(CacheWay::kTo, "an image manifest has OCI media types: image-manifest=true needs oci-mediatypes=true"));
  if (!oci) target.format.family = oci::Family::kDocker;
  TRY(set_format(given, target));
  return target;
}

Status take(CacheWay way, const CacheType& type, const Attributes& given, Caches& caches) {
  const bool known = type.name == "registry" || type.name == "local";
  if (way == CacheWay::kTo && (known || type.name == "inline")) {
    caches.targets.push_back(TRY(target_of(type, given)));
  } else if (known) {
    auto place = TRY(place_of(way, type, given));
    caches.sources.push_back({std::move(place)});
  } else if (type.name == "inline") {
    caches.notes.emplace_back(
        "--cache-from type=inline names no image: read an image's cache with type=registry,ref=IMAGE");
  } else {
    caches.notes.push_back(
        fmt::format("{} {} is not {}: of caches that travel this version has registry, local and "
                    "inline",
                    option_of(way), shown(way, type, given), way == CacheWay::kFrom ? "read" : "written"));
  }
  return {};
}

}  // namespace

Status parse_cache(CacheWay way, std::string_view text, const registry::Environment& environment, Caches& caches) {
  if (text.empty()) return {};  // a variable of a pipeline that is not set
  const auto fields = csv_fields(text);
  if (!fields) return std::unexpected(usage(way, fields.error().what()));
  const bool references = std::none_of(fields->begin(), fields->end(), [](const auto& f) { return f.contains('='); });
  if (references) {
    const CacheType* type = TRY(find_type(way, "registry"));
    for (const auto& field : *fields) {
      TRY(check_reference(way, field));
      TRY(take(way, *type, {{"ref", field}}, caches));
    }
    return {};
  }
  Attributes given;
  for (std::size_t i = 0; i < fields->size(); ++i) {
    const std::string& field = (*fields)[i];
    const auto equals = field.find('=');
    if (equals == std::string::npos)  // by its number: it may be a piece of a key that holds a comma
      return std::unexpected(usage(way, fmt::format("field {} is no KEY=VALUE", i + 1)));
    given[lower(trim(std::string_view(field).substr(0, equals)))] = field.substr(equals + 1);
  }
  const auto named = given.find("type");
  if (named == given.end() || named->second.empty()) return std::unexpected(usage(way, "there is no type=…"));
  const CacheType* type = TRY(find_type(way, named->second));
  given.erase(named);
  TRY(check_keys(way, *type, given));
  TRY(check_needs(way, *type, given, environment));
  return take(way, *type, given, caches);
}

}  // namespace slipway::cli
