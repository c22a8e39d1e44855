#include "dockerfile/mount.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "dockerfile/flags.hpp"

namespace slipway::dockerfile {
namespace {

template <class... T>
std::unexpected<Error> wrong(fmt::format_string<T...> format, T&&... arguments) {
  return fail(Code::kInvalidArgument, format, std::forward<T>(arguments)...);
}

constexpr std::array<std::pair<std::string_view, Mount::Type>, 5> kTypes = {{{"bind", Mount::Type::kBind},
                                                                             {"cache", Mount::Type::kCache},
                                                                             {"tmpfs", Mount::Type::kTmpfs},
                                                                             {"secret", Mount::Type::kSecret},
                                                                             {"ssh", Mount::Type::kSsh}}};
constexpr std::array<std::pair<std::string_view, Mount::Sharing>, 3> kSharings = {
    {{"shared", Mount::Sharing::kShared}, {"private", Mount::Sharing::kPrivate}, {"locked", Mount::Sharing::kLocked}}};

std::string_view name_of(Mount::Type type) {
  for (const auto& [name, known] : kTypes)
    if (known == type) return name;
  return "";
}

/// Go's strconv.ParseBool.
std::optional<bool> parse_bool(std::string_view text) {
  for (const auto* yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (text == yes) return true;
  for (const auto* no : {"0", "f", "F", "false", "FALSE", "False"})
    if (text == no) return false;
  return std::nullopt;
}

class Reader {
 public:
  Reader(char escape, const Lookup& lookup) : escape_(escape), lookup_(lookup) {}

  Result<Mount> read(std::string_view text) {
    auto fields = csv_fields(text);
    if (!fields) return wrong("failed to parse csv mounts: {}", fields.error().what());
    for (const auto& field : *fields) {
      const auto equals = field.find('=');
      const std::string key = lower(field.substr(0, equals));
      if (equals == std::string::npos)
        TRY(word(key, field));
      else
        TRY(pair(key, field, field.substr(equals + 1)));
    }
    return finish();
  }

 private:
  Status word(const std::string& key, const std::string& field) {
    if (key == "readonly" || key == "ro") return set_read_only(true);
    if (key == "readwrite" || key == "rw") return set_read_only(false);
    if (key == "required") return set_required(true);
    return wrong("invalid field '{}' must be a key=value pair", printable(field, 128));
  }

  Status pair(const std::string& key, const std::string& field, std::string raw) {
    if (key == "from") {
      if (const auto dollar = raw.find('$'); dollar != std::string::npos && dollar + 1 != raw.size())
        return wrong("'from' doesn't support variable expansion, define alias stage instead");
      mount_.from = std::move(raw);
      return {};
    }
    std::string value = TRY(expand_word(raw, escape_, lookup_));
    if (key == "type") return set_type(value);
    if (key == "source" || key == "src") return set(mount_.source, std::move(value));
    if (key == "target" || key == "dst" || key == "destination") return set(mount_.target, std::move(value));
    if (key == "id") return set(mount_.id, std::move(value));
    if (key == "env") return set(mount_.env, std::move(value));
    if (key == "sharing") return set_sharing(value);
    if (key == "size") return set_size(value);
    if (key == "mode") return set_mode(value);
    if (key == "uid") return set_number(mount_.uid, key, value, 10);
    if (key == "gid") return set_number(mount_.gid, key, value, 10);
    if (key == "readonly" || key == "ro" || key == "readwrite" || key == "rw" || key == "required") {
      const auto yes = parse_bool(value);
      if (!yes) return wrong("invalid value for {}: {}", key, printable(value, 128));
      if (key == "required") return set_required(*yes);
      return set_read_only(key.starts_with("ro") || key == "readonly" ? *yes : !*yes);
    }
    return wrong(
        "unexpected key '{}' in '{}'{}", printable(key, 128), printable(field, 256),
        did_you_mean(key, {"type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode",
                           "uid", "gid", "src", "dst", "destination", "ro", "rw", "readwrite", "env"}));
  }

  template <class Member>
  static Status set(Member& member, std::string value) {
    member = std::move(value);
    return {};
  }

  Status set_type(const std::string& value) {
    for (const auto& [name, type] : kTypes) {
      if (value != name) continue;
      mount_.type = type;
      return {};
    }
    return wrong("unsupported mount type {}{}", quoted(value, 128),
                 did_you_mean(value, {"bind", "cache", "tmpfs", "secret", "ssh"}));
  }

  Status set_sharing(const std::string& value) {
    for (const auto& [name, sharing] : kSharings) {
      if (value != name) continue;
      mount_.sharing = sharing;
      sharing_given_ = true;
      return {};
    }
    return wrong("unsupported sharing value {}{}", quoted(value, 128),
                 did_you_mean(value, {"shared", "private", "locked"}));
  }

  Status set_size(const std::string& value) {
    if (mount_.type != Mount::Type::kTmpfs) return unexpected_key("size");
    const auto size = parse_human_size(value);
    if (!size) return wrong("invalid value for size: {}", printable(value, 128));
    mount_.size = *size;
    return {};
  }

  static Status set_number(std::optional<std::uint32_t>& member, std::string_view key, std::string_view value,
                           int base) {
    std::uint32_t number = 0;
    const auto end = std::from_chars(value.data(), value.data() + value.size(), number, base);
    if (value.empty() || end.ec != std::errc() || end.ptr != value.data() + value.size())
      return wrong("invalid value {} for {}", printable(value, 128), key);
    member = number;
    return {};
  }

  /// BuildKit takes any number, and of it the permissions: "0100644" is 0644.
  Status set_mode(std::string_view value) {
    TRY(set_number(mount_.mode, "mode", value, 8));
    *mount_.mode &= 07777U;
    return {};
  }

  Status set_read_only(bool read_only) {
    mount_.read_only = read_only;
    read_only_given_ = true;
    return {};
  }

  Status set_required(bool required) {
    if (mount_.type != Mount::Type::kSecret && mount_.type != Mount::Type::kSsh) return unexpected_key("required");
    mount_.required = required;
    return {};
  }

  std::unexpected<Error> unexpected_key(std::string_view key) const {
    return wrong("unexpected key '{}' for mount type '{}'", key, name_of(mount_.type));
  }

  Result<Mount> finish() {
    const bool cache = mount_.type == Mount::Type::kCache, secret = mount_.type == Mount::Type::kSecret;
    if (!cache && !secret && mount_.type != Mount::Type::kSsh) {
      const std::array<std::pair<std::string_view, bool>, 3> given = {
          {{"mode", mount_.mode.has_value()}, {"uid", mount_.uid.has_value()}, {"gid", mount_.gid.has_value()}}};
      for (const auto& [key, is_there] : given)
        if (is_there) return wrong("{} not allowed for {} type mounts", key, quoted(name_of(mount_.type)));
    }
    if (!read_only_given_) mount_.read_only = !cache && mount_.type != Mount::Type::kTmpfs;
    if (sharing_given_ && !cache) return wrong("invalid cache sharing set for {} mount", name_of(mount_.type));
    if (mount_.env && !secret) return wrong("env not allowed for {} type mounts", quoted(name_of(mount_.type)));
    if (secret && !mount_.from.empty()) return wrong("secret mount should not have a from");
    if (secret && mount_.source.empty() && mount_.target.empty() && mount_.id.empty())
      return wrong("invalid secret mount. one of source, target required");
    if (secret && !mount_.source.empty() && !mount_.id.empty()) return wrong("both source and id can't be set");
    return std::move(mount_);
  }

  char escape_;
  const Lookup& lookup_;
  Mount mount_;
  bool read_only_given_ = false, sharing_given_ = false;
};

}  // namespace

Result<Mount> parse_mount(std::string_view text, char escape, const Lookup& lookup) {
  return Reader(escape, lookup).read(text);
}

std::string mount_source_of(std::string_view text) {
  const auto fields = csv_fields(text);
  if (!fields) return "";
  std::string from;
  for (const auto& field : *fields)
    if (const auto equals = field.find('='); equals != std::string::npos && lower(field.substr(0, equals)) == "from")
      from = field.substr(equals + 1);
  return from;
}

}  // namespace slipway::dockerfile
