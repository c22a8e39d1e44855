#include "cli/output_option.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "cli/annotation_option.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

using Type = build::Output::Type;

/// The types as they are written. registry and docker without dest are images.
enum Word : unsigned { kLocal = 1, kTar = 2, kOci = 4, kDocker = 8, kImage = 16, kRegistry = 32, kCacheOnly = 64 };
constexpr unsigned kFiles = kLocal | kTar;
constexpr unsigned kImages = kOci | kDocker | kImage | kRegistry;
constexpr unsigned kPushed = kImage | kRegistry;

constexpr std::pair<std::string_view, Word> kWords[] = {
    {"local", kLocal},        {"tar", kTar},     {"oci", kOci},
    {"docker", kDocker},      {"image", kImage}, {"registry", kRegistry},
    {"cacheonly", kCacheOnly}};

Error usage(std::string text) { return {Code::kUsage, std::move(text)}; }

/// What was written, before it is judged as a whole.
struct Draft {
  build::Output output;
  Word word = kLocal;
  bool archive = true;  ///< tar=
  std::string level;
  std::string tagged;  ///< a name that has a tag
};

/// Takes in `value` of the key `key`.
using Take = Status (*)(std::string_view key, std::string_view value, Draft& draft);

Status take_names(std::string_view, std::string_view value, Draft& draft) {
  for (const auto item : split(value, ',')) {
    const std::string name(trim(item));
    auto reference = parse_tag(name);
    if (!reference) return std::unexpected(std::move(reference).error().with_code(Code::kUsage));
    if (!tag_was_added(*reference, name)) draft.tagged = name;
    draft.output.names.push_back(*std::move(reference));
  }
  return {};
}

Status take_compression(std::string_view, std::string_view value, Draft& draft) {
  auto& into = draft.output.format.compression;
  if (value == "uncompressed") {
    into = oci::Compression::kNone;
  } else if (value == "gzip") {
    into = oci::Compression::kGzip;
  } else if (value == "zstd") {
    into = oci::Compression::kZstd;
  } else if (value == "estargz") {
    return std::unexpected(
        usage("option --output: compression=estargz is not in this version; there are uncompressed, "
              "gzip and zstd"));
  } else {
    return std::unexpected(
        usage(fmt::format("option --output: compression is uncompressed, gzip or zstd, not {}", quoted(value, 64))));
  }
  return {};
}

Status take_prefix(std::string_view, std::string_view value, Draft& draft) {
  const auto reference = oci::Reference::parse(value);
  if (!reference || reference->digest() || !tag_was_added(*reference, value))
    return std::unexpected(
        usage(fmt::format("option --output: dangling-name-prefix is a name without tag, not {}", quoted(value, 300))));
  draft.output.dangling_prefix = value;
  return {};
}

Status refuse_context(std::string_view, std::string_view, Draft&) {
  return std::unexpected(
      usage("option --output: context= loads an image into another Docker daemon, which Slipway does not talk to")
          .with_hint("write an archive with type=docker,dest=FILE and load it there: docker --context NAME load -i "
                     "FILE"));
}

Result<bool> switch_of(std::string_view key, std::string_view value) {
  return parse_bool(value, fmt::format("option --output: {}", key));
}

template <bool build::Output::* Member>
Status take_switch(std::string_view key, std::string_view value, Draft& draft) {
  draft.output.*Member = TRY(switch_of(key, value));
  return {};
}
template <std::optional<bool> build::Output::* Member>
Status take_choice(std::string_view key, std::string_view value, Draft& draft) {
  draft.output.*Member = TRY(switch_of(key, value));
  return {};
}
/// Accepted where its meaning holds here whatever it says.
Status take_nothing(std::string_view key, std::string_view value, Draft&) {
  (void)TRY(switch_of(key, value));
  return {};
}

struct Key {
  std::string_view name;
  unsigned words;
  Take take;
};

// unpack: layers are unpacked in the store anyway. attestation-inline: there are no attestations to inline.
const Key kKeys[] = {
    {"dest", kFiles | kOci | kDocker,
     [](std::string_view, std::string_view value, Draft& draft) -> Status {
       draft.output.destination = value;
       return {};
     }},
    {"tar", kOci,
     [](std::string_view key, std::string_view value, Draft& draft) -> Status {
       draft.archive = TRY(switch_of(key, value));
       return {};
     }},
    {"context", kDocker, refuse_context},
    {"name", kImages, take_names},
    {"push", kPushed, take_switch<&build::Output::push>},
    {"push-by-digest", kPushed, take_switch<&build::Output::by_digest>},
    {"registry.insecure", kPushed, take_switch<&build::Output::insecure>},
    {"unpack", kPushed, take_nothing},
    {"store", kPushed, take_switch<&build::Output::store>},
    {"dangling-name-prefix", kPushed, take_prefix},
    {"name-canonical", kPushed, take_switch<&build::Output::name_canonical>},
    {"compression", kImages, take_compression},
    {"compression-level", kImages,
     [](std::string_view, std::string_view value, Draft& draft) -> Status {
       draft.level = value;
       return {};
     }},
    {"force-compression", kImages,
     [](std::string_view key, std::string_view value, Draft& draft) -> Status {
       draft.output.format.force = TRY(switch_of(key, value));
       return {};
     }},
    {"oci-mediatypes", kImages,
     [](std::string_view key, std::string_view value, Draft& draft) -> Status {
       draft.output.format.family = TRY(switch_of(key, value)) ? oci::Family::kOci : oci::Family::kDocker;
       return {};
     }},
    {"rewrite-timestamp", kImages | kFiles, take_choice<&build::Output::clamp_times>},
    {"attestation-inline", kImages | kFiles, take_nothing},
    {"platform-split", kFiles, take_choice<&build::Output::platform_split>},
};

std::string_view text_of(Word word) {
  for (const auto& [text, known] : kWords)
    if (known == word) return text;
  return {};
}

Result<Word> parse_type(std::string_view text) {
  std::vector<std::string_view> names;
  for (const auto& [name, word] : kWords) {
    if (name == text) return word;
    names.push_back(name);
  }
  const std::string near = nearest(text, names);
  return std::unexpected(usage(fmt::format(
      "option --output does not know the type {}; there are local, tar, oci, docker, image, registry and cacheonly{}",
      quoted(text, 64), near.empty() ? "" : fmt::format("; did you mean {}?", near))));
}

/// A key that this type has not: another type's, or nobody's.
Error unknown_key(std::string_view name, Word word) {
  std::vector<std::string_view> names;
  for (const auto& key : kKeys) {
    if (key.name == name) return usage(fmt::format("option --output: {} is not for type={}", name, text_of(word)));
    if ((key.words & word) != 0) names.push_back(key.name);
  }
  const std::string near = nearest(name, names);
  return usage(fmt::format("option --output type={} does not know {}{}", text_of(word), quoted(name, 64),
                           near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

Status take_field(std::string_view name, std::string_view value, Draft& draft) {
  const std::string key = lower(name);
  const auto found = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key& k) { return k.name == key; });
  if (found != std::end(kKeys) && (found->words & draft.word) != 0) return found->take(key, value, draft);
  if (found == std::end(kKeys)) {
    if (auto annotation = TRY(parse_annotation_key(name, value))) {
      if ((draft.word & kImages) == 0)
        return std::unexpected(
            usage(fmt::format("option --output: annotations are not for type={}", text_of(draft.word))));
      draft.output.format.annotations.push_back(*std::move(annotation));
      return {};
    }
  }
  return std::unexpected(unknown_key(key, draft.word));
}

Status set_level(Draft& draft) {
  if (draft.level.empty()) return {};
  const bool zstd = draft.output.format.compression == oci::Compression::kZstd;
  const auto level = parse_size(draft.level);
  if (!level || *level > (zstd ? 22 : 9))
    return std::unexpected(usage(fmt::format("option --output: compression-level of {} is 0 to {}, not {}",
                                             zstd ? "zstd" : "gzip", zstd ? 22 : 9, quoted(draft.level, 64))));
  draft.output.format.level = static_cast<int>(*level);
  if (!draft.output.format.compression) draft.output.format.compression = oci::Compression::kGzip;
  // zstd's 0 is its usual level; what is not compressed has none.
  if (draft.output.format.compression == oci::Compression::kNone || (zstd && *level == 0))
    draft.output.format.level.reset();
  return {};
}

Result<build::Output> judged(Draft draft) {
  auto& output = draft.output;
  TRY(set_level(draft));
  if (output.format.force && !output.format.compression) output.format.compression = oci::Compression::kGzip;
  const bool nowhere = output.destination.empty() || output.destination == "-";
  if (draft.word == kLocal && nowhere) return std::unexpected(usage("option --output type=local needs dest=DIRECTORY"));
  if (!draft.archive && nowhere)
    return std::unexpected(usage("option --output type=oci,tar=false needs dest=DIRECTORY"));
  if (output.by_digest && !draft.tagged.empty())
    return std::unexpected(
        usage(fmt::format("option --output: {} has a tag and can not be pushed by digest", quoted(draft.tagged, 300))));
  output.directory = !draft.archive;
  if (draft.word == kDocker && output.destination.empty()) output.type = Type::kImage;
  if ((draft.word & (kTar | kOci)) != 0 && output.destination.empty()) output.destination = "-";
  return std::move(output);
}

constexpr Type type_of(Word word) {
  switch (word) {
    case kLocal:
      return Type::kLocal;
    case kTar:
      return Type::kTar;
    case kOci:
      return Type::kOci;
    case kDocker:
      return Type::kDocker;
    case kCacheOnly:
      return Type::kCacheOnly;
    default:
      return Type::kImage;
  }
}

}  // namespace

Result<bool> parse_bool(std::string_view text, std::string_view what) {
  for (const auto* yes : {"", "1", "t", "T", "TRUE", "true", "True"})
    if (text == yes) return true;
  for (const auto* no : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == no) return false;
  return fail(Code::kUsage, "{} is true or false, not {}", what, quoted(text, 64));
}

Result<build::Output> parse_output(std::string_view text) {
  if (text == "-") return build::Output{Type::kTar, "-"};
  const auto fields = csv_fields(text);
  if (!fields) return fail(Code::kUsage, "option --output: {}", fields.error().what());
  if (fields->size() == 1 && !fields->front().contains('=')) {
    if (fields->front().empty()) return fail(Code::kUsage, "option --output is empty");
    return build::Output{Type::kLocal, fields->front()};
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  std::optional<std::string> type;
  for (const auto& field : *fields) {
    const auto equals = field.find('=');
    if (equals == std::string::npos)
      return fail(Code::kUsage, "option --output: {} is no KEY=VALUE", quoted(field, 128));
    std::string key(trim(std::string_view(field).substr(0, equals)));
    if (lower(key) == "type")
      type = field.substr(equals + 1);
    else
      pairs.emplace_back(std::move(key), field.substr(equals + 1));
  }
  if (!type || type->empty()) return fail(Code::kUsage, "option --output {} has no type", quoted(text, 256));
  Draft draft;
  draft.word = TRY(parse_type(*type));
  draft.output.type = type_of(draft.word);
  draft.output.push = draft.word == kRegistry;
  for (const auto& [key, value] : pairs) TRY(take_field(key, value, draft));
  return judged(std::move(draft));
}

}  // namespace slipway::cli
