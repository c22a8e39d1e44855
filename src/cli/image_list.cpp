#include "cli/image_list.hpp"

#include <algorithm>
#include <ctime>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

/// One [class] of a pattern at `at` (after the bracket): whether it holds `c`; moves `at` behind it.
std::optional<bool> class_holds(std::string_view pattern, std::size_t& at, char c) {
  bool inverted = false, holds = false, any = false;
  if (at < pattern.size() && pattern[at] == '^') {
    inverted = true;
    ++at;
  }
  while (true) {
    if (at >= pattern.size()) return std::nullopt;
    if (pattern[at] == ']' && any) {
      ++at;
      return holds != inverted;
    }
    const auto one = [&]() -> std::optional<char> {
      if (at < pattern.size() && pattern[at] == '\\') ++at;
      if (at >= pattern.size()) return std::nullopt;
      return pattern[at++];
    };
    const auto low = one();
    auto high = low;
    if (low && at < pattern.size() && pattern[at] == '-') {
      ++at;
      high = one();
    }
    if (!low || !high) return std::nullopt;
    holds |= *low <= c && c <= *high;
    any = true;
  }
}

bool has_name(const ListedImage& image, std::string_view text) {
  if (image.reference) {
    if (const auto wanted = oci::Reference::parse(text); wanted && wanted->canonical() == image.reference->canonical())
      return true;
  }
  const std::string_view hex = text.starts_with("sha256:") ? text.substr(7) : text;
  return hex.size() >= 4 && std::string_view(image.id).substr(7).starts_with(hex);
}

Result<std::int64_t> created_of(const std::vector<ListedImage>& images, const std::string& text) {
  for (const auto& image : images)
    if (has_name(image, text)) return image.created.value_or(0);
  return fail(Code::kNotFound, "no image {} to compare with", quoted(text, 300));
}

}  // namespace

bool path_match(std::string_view pattern, std::string_view text) {
  // the usual two-pointer way: on a mismatch the last star takes one character more
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  const auto step = [&]() -> bool {
    if (p >= pattern.size() || t >= text.size()) return false;
    const char c = text[t];
    std::size_t next = p + 1;
    bool matches = false;
    if (pattern[p] == '?') {
      matches = c != '/';
    } else if (pattern[p] == '[') {
      matches = class_holds(pattern, next, c).value_or(false);
    } else if (pattern[p] == '\\') {
      matches = next < pattern.size() && pattern[next] == c;
      ++next;
    } else {
      matches = pattern[p] == c;
    }
    if (!matches) return false;
    p = next;
    ++t;
    return true;
  };
  while (t < text.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      resume = t;
      continue;
    }
    if (step()) continue;
    if (star == std::string_view::npos || resume >= text.size() || text[resume] == '/') return false;
    p = star;
    t = ++resume;
  }
  return true;
}

Status ImageFilter::add(std::string_view text) {
  const auto equals = text.find('=');
  const auto key = text.substr(0, equals);
  const std::string value(equals == std::string_view::npos ? "" : text.substr(equals + 1));
  if (equals == std::string_view::npos) return fail(Code::kUsage, "filter {} is not KEY=VALUE", quoted(text, 128));
  if (key == "reference") {
    references_.push_back(value);
  } else if (key == "label") {
    labels_.push_back(value);
  } else if (key == "dangling") {
    if (value != "true" && value != "false" && value != "1" && value != "0")
      return fail(Code::kUsage, "filter dangling is true or false, not {}", quoted(value, 64));
    dangling_ = value == "true" || value == "1";
  } else if (key == "before") {
    before_ = value;
  } else if (key == "since") {
    since_ = value;
  } else {
    return fail(Code::kUsage, "unknown filter {}; there are reference, dangling, label, before and since",
                quoted(key, 64));
  }
  return {};
}

Result<std::vector<ListedImage>> ImageFilter::apply(std::vector<ListedImage> images) const {
  std::optional<std::int64_t> before, since;
  if (before_) before = TRY(created_of(images, *before_));
  if (since_) since = TRY(created_of(images, *since_));
  std::erase_if(images, [&](const ListedImage& image) {
    if (dangling_ && *dangling_ == image.reference.has_value()) return true;
    if (before && image.created.value_or(0) >= *before) return true;
    if (since && image.created.value_or(0) <= *since) return true;
    for (const auto& label : labels_) {
      const auto equals = label.find('=');
      const auto found = image.labels.find(label.substr(0, equals));
      if (found == image.labels.end() || (equals != std::string::npos && found->second != label.substr(equals + 1)))
        return true;
    }
    if (references_.empty()) return false;
    if (!image.reference) return true;
    const std::string full = image.reference->familiar(), name = image.reference->familiar_name();
    return std::none_of(references_.begin(), references_.end(), [&](const std::string& pattern) {
      return path_match(pattern, full) || path_match(pattern, name);
    });
  });
  std::stable_sort(images.begin(), images.end(), [](const ListedImage& a, const ListedImage& b) {
    if (a.created != b.created) return a.created > b.created;
    return (a.reference ? a.reference->canonical() : "") < (b.reference ? b.reference->canonical() : "");
  });
  return images;
}

std::string ago(std::optional<std::int64_t> created, std::int64_t now) {
  if (!created) return "N/A";
  return human_duration(std::max<std::int64_t>(0, now - *created)) + " ago";
}

std::string go_time(std::int64_t seconds) {
  std::tm parts{};
  const std::time_t time = seconds;
  if (gmtime_r(&time, &parts) == nullptr) return "N/A";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} +0000 UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string shown_id(std::string_view digest, Truncate truncate) {
  if (truncate == Truncate::kNo) return std::string(digest);
  const auto colon = digest.find(':');
  return std::string(digest.substr(colon == std::string_view::npos ? 0 : colon + 1).substr(0, 12));
}

Value row_of(const ListedImage& image, std::int64_t now, Truncate truncate) {
  const std::string size = human_size(image.size);
  const auto& reference = image.reference;
  return Value::Object{{"Containers", "N/A"},
                       {"CreatedAt", image.created ? go_time(*image.created) : "N/A"},
                       {"CreatedSince", ago(image.created, now)},
                       {"Digest", image.digest.empty() ? "<none>" : image.digest},
                       {"ID", shown_id(image.id, truncate)},
                       {"Repository", reference ? reference->familiar_name() : "<none>"},
                       {"SharedSize", "N/A"},
                       {"Size", size},
                       {"Tag", reference && !reference->tag().empty() ? reference->tag() : "<none>"},
                       {"UniqueSize", "N/A"},
                       {"VirtualSize", size}};
}

TableShape image_table(bool digests) {
  return {{{"Containers", "CONTAINERS"},
           {"CreatedAt", "CREATED AT"},
           {"CreatedSince", "CREATED"},
           {"Digest", "DIGEST"},
           {"ID", "IMAGE ID"},
           {"Repository", "REPOSITORY"},
           {"SharedSize", "SHARED SIZE"},
           {"Size", "SIZE"},
           {"Tag", "TAG"},
           {"UniqueSize", "UNIQUE SIZE"},
           {"VirtualSize", "SIZE"}},
          digests ? "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
                  : "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"};
}

}  // namespace slipway::cli
