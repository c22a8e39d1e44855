#include "buildcache/keys.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "oci/canonical_json.hpp"

namespace slipway::buildcache {
namespace {

constexpr int kSkip = -1;

oci::Digest keyed(const oci::Digest& digest, int output) {
  return oci::Digest::of(fmt::format("{}@{}", digest.text(), output));
}

/// What is hashed of a source.
oci::Digest source(const std::string& key) { return oci::Digest::of("buildkit.source.v0:" + key); }

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t n = 0; n < 3; ++n)
      group = (group << 8) | (n < count ? static_cast<unsigned char>(bytes[i + n]) : 0u);
    for (std::size_t n = 0; n < 4; ++n) out += n <= count ? kAlphabet[(group >> (18 - 6 * n)) & 63] : '=';
  }
  return out;
}

Account account_of(std::string_view text) {
  if (text == "root") return {};
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return {"", static_cast<std::uint32_t>(number)};
  return {std::string(text), 0};
}

void write_account(oci::JsonWriter& json, std::string_view member, const std::optional<Account>& account,
                   std::int64_t input) {
  if (!account) return;
  json.key(member);
  json.begin_object();
  json.key("User");
  json.begin_object();
  if (!account->name.empty()) {
    json.key("byName");
    json.begin_object();
    json.member("name", account->name);
    json.nonempty("input", input);
    json.end_object();
  } else {
    json.nonempty("byId", static_cast<std::int64_t>(account->id));
  }
  json.end_object();
  json.end_object();
}

void write_owner(oci::JsonWriter& json, const std::optional<Owner>& owner) {
  if (!owner) return;
  json.key("owner");
  json.begin_object();
  write_account(json, "user", owner->user, owner->input);
  write_account(json, "group", owner->group, owner->input);
  json.end_object();
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path == "/") return "/";
  return std::string(path.substr(path.rfind('/') + 1));
}

std::optional<int> octal(std::string_view text) {
  int mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return mode;
}

std::string copy_json(const CopyAction& action) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("src", base_name(action.source));
  json.nonempty("dest", action.target);
  write_owner(json, action.owner);
  const auto mode = octal(action.chmod);
  if (action.chmod.empty()) json.member("mode", -1);
  if (mode) json.nonempty("mode", *mode);
  if (!action.document) {
    json.member("followSymlink", true);
    json.member("dirCopyContents", true);
  }
  json.nonempty("attemptUnpackDockerCompatibility", action.unpack);
  json.member("createDestPath", true);
  if (!action.document) {
    json.member("allowWildcard", true);
    json.member("allowEmptyWildcard", true);
  }
  json.member("timestamp", -1);
  json.nonempty("include_patterns", action.includes);
  json.nonempty("exclude_patterns", action.excludes);
  if (!action.chmod.empty() && !mode) json.member("modeStr", action.chmod);
  json.nonempty("required_paths", action.required);
  json.end_object();
  return json.take();
}

struct Index {
  std::int64_t input, secondary, output;
};

/// Left out in the commonest case, as older versions did not have them.
bool usual(const std::vector<Index>& indexes) {
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    const auto& [input, secondary, output] = indexes[i];
    const bool last = i + 1 == indexes.size();
    if (input != (i == 0 ? 0 : static_cast<std::int64_t>(indexes.size() + i - 1))) return false;
    if ((secondary != -1 && secondary != 1) || output != (last ? 0 : kSkip)) return false;
  }
  return !indexes.empty();
}

oci::Digest file_digest(const std::vector<std::string>& actions, const std::vector<Index>& indexes) {
  std::vector<std::string> encoded;
  for (const auto& action : actions) encoded.push_back(base64(action));
  oci::JsonWriter json;
  json.begin_object();
  json.member("Type", "buildkit.file.v0");
  json.member("Actions", encoded);
  if (!usual(indexes)) {
    json.key("indexes");
    json.begin_array();
    for (const auto& [input, secondary, output] : indexes) {
      json.begin_array();
      for (const std::int64_t value : {input, secondary, output}) json.value(value);
      json.end_array();
    }
    json.end_array();
  }
  json.end_object();
  return oci::Digest::of(json.take());
}

void write_mount(oci::JsonWriter& json, const ExecMount& mount) {
  using Type = ExecMount::Type;
  json.begin_object();
  json.nonempty("input", mount.input);
  json.nonempty("dest", mount.target);
  json.nonempty("output", mount.output);
  json.nonempty("readonly", mount.read_only);
  json.nonempty("mountType", static_cast<int>(mount.type));
  if (mount.type == Type::kTmpfs) {
    json.key("TmpfsOpt");
    json.begin_object();
    json.nonempty("size", mount.size);
    json.end_object();
  }
  if (mount.type == Type::kCache) {
    // A cache that is called what every cache of its target is called keeps its name; of any other it does not count.
    const auto slash = mount.id.find('/');
    const bool plain =
        mount.sharing == 0 &&
        (mount.id == mount.target || (slash != std::string::npos && mount.id.substr(slash + 1) == mount.target));
    json.key("cacheOpt");
    json.begin_object();
    if (plain) json.nonempty("ID", mount.id);
    json.end_object();
  }
  if (mount.type == Type::kSecret || mount.type == Type::kSsh) {
    json.key(mount.type == Type::kSecret ? "secretOpt" : "SSHOpt");
    json.begin_object();
    json.nonempty("ID", mount.id);
    json.nonempty("uid", static_cast<std::int64_t>(mount.uid));
    json.nonempty("gid", static_cast<std::int64_t>(mount.gid));
    json.nonempty("mode", static_cast<std::int64_t>(mount.mode));
    json.nonempty("optional", mount.optional);
    json.end_object();
  }
  json.end_object();
}

void write_meta(oci::JsonWriter& json, const Exec& exec) {
  json.key("meta");
  json.begin_object();
  json.nonempty("args", exec.arguments);
  json.nonempty("env", exec.environment);
  json.nonempty("cwd", exec.directory);
  json.nonempty("user", exec.user);
  if (!exec.extra_hosts.empty()) {
    json.key("extraHosts");
    json.begin_array();
    for (const auto& host : exec.extra_hosts) {
      json.begin_object();
      json.nonempty("Host", host);
      json.end_object();
    }
    json.end_array();
  }
  json.nonempty("hostname", exec.hostname);
  if (!exec.ulimits.empty()) {
    json.key("ulimit");
    json.begin_array();
    for (const auto& limit : exec.ulimits) {
      json.begin_object();
      json.nonempty("Name", limit.name);
      json.nonempty("Soft", limit.soft);
      json.nonempty("Hard", limit.hard);
      json.end_object();
    }
    json.end_array();
  }
  json.nonempty("cgroupParent", exec.cgroup_parent);
  json.member("removeMountStubsRecursive", true);
  json.end_object();
}

void write_platform(oci::JsonWriter& json, const oci::Platform& platform) {
  json.member("OS", platform.os);
  json.member("Arch", platform.architecture);
  json.nonempty("Variant", platform.variant);
  json.nonempty("OSVersion", platform.os_version);
  json.nonempty("OSFeatures", platform.os_features);
}

}  // namespace

oci::Digest output_key(const oci::Digest& vertex) { return keyed(vertex, 0); }
oci::Digest content_key(const oci::Digest& content) { return keyed(content, -1); }

oci::Digest image_by_manifest(const oci::Digest& target, const oci::Platform& platform) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("Digest", target.text());
  write_platform(json, platform);
  json.end_object();
  return output_key(source(oci::Digest::of(json.take()).text()));
}

oci::Digest image_by_layers(const oci::ChainId& chain) { return output_key(source(chain.digest.text())); }

std::string paths_selector(std::vector<std::string> paths) {
  std::ranges::sort(paths, std::greater<>());
  return oci::Digest::of(join(paths, std::string_view("\0", 1))).text();
}

std::string mount_selector(std::string_view path) { return oci::Digest::of(path).text(); }

Owner Owner::parse(std::string_view text, std::int64_t input) {
  Owner owner{.user = std::nullopt, .group = std::nullopt, .input = input};
  const auto colon = text.find(':');
  owner.user = account_of(text.substr(0, colon));
  if (colon != std::string_view::npos) owner.group = account_of(text.substr(colon + 1));
  return owner;
}

oci::Digest copy_digest(const std::vector<CopyAction>& actions, bool base, std::size_t inputs) {
  std::vector<std::string> texts;
  std::vector<Index> indexes;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    texts.push_back(copy_json(actions[i]));
    const std::int64_t below = base ? 0 : -1;
    indexes.push_back({i == 0 ? below : static_cast<std::int64_t>(inputs + i - 1), actions[i].input,
                       i + 1 == actions.size() ? 0 : kSkip});
  }
  return file_digest(texts, indexes);
}

oci::Digest document_digest(std::string_view path, int mode, std::string_view bytes) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("path", path);
  json.nonempty("mode", mode);
  json.nonempty("data", base64(bytes));
  json.member("timestamp", -1);
  json.end_object();
  return file_digest({json.take()}, {{-1, -1, 0}});
}

oci::Digest workdir_digest(std::string_view path, const std::optional<Owner>& owner, std::optional<std::int64_t> epoch,
                           bool base) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("path", path);
  json.member("mode", 0755);
  json.member("makeParents", true);
  write_owner(json, owner);
  json.nonempty("timestamp", epoch ? *epoch * 1'000'000'000 : -1);
  json.end_object();
  return file_digest({json.take()}, {{base ? 0 : -1, -1, 0}});
}

oci::Digest merge_digest(std::size_t inputs) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("Type", "buildkit.merge.v0");
  json.key("Merge");
  json.begin_object();
  json.key("inputs");
  json.begin_array();
  for (std::size_t i = 0; i < inputs; ++i) {
    json.begin_object();
    json.nonempty("input", static_cast<std::int64_t>(i));
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.end_object();
  return oci::Digest::of(json.take());
}

oci::Digest exec_digest(const Exec& exec) {
  oci::JsonWriter json;
  json.begin_object();
  json.member("Type", "buildkit.exec.v0");
  json.key("Exec");
  json.begin_object();
  write_meta(json, exec);
  if (!exec.mounts.empty()) {
    json.key("mounts");
    json.begin_array();
    write_mount(json, {.input = 0, .target = "/", .output = 0, .id = {}});
    for (const auto& mount : exec.mounts) write_mount(json, mount);
    json.end_array();
  }
  json.nonempty("network", exec.network);
  json.nonempty("security", exec.insecure ? 1 : 0);
  if (!exec.secrets.empty()) {
    json.key("secretenv");
    json.begin_array();
    for (const auto& secret : exec.secrets) {
      json.begin_object();
      json.nonempty("ID", secret.id);
      json.nonempty("name", secret.name);
      json.nonempty("optional", secret.optional);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  write_platform(json, exec.platform);
  json.end_object();
  return oci::Digest::of(json.take());
}

std::string FileHead::text() const {
  std::string out = fmt::format("namemode{}uid{}gid{}size{}typeflag{}linkname{}unamegnamedevmajor{}devminor{}", mode,
                                uid, gid, size, type, link, major, minor);
  for (const auto& [name, value] : xattrs) out += name + value;
  return out;
}

bool counts_in_sum(std::string_view xattr) {
  return xattr == "security.capability" || (!xattr.starts_with("security.") && !xattr.starts_with("system."));
}

void ListSum::add(std::string_view path, const oci::Digest& digest) {
  hash_.update(path);
  hash_.update(digest.text());
}

oci::Digest content_of(const std::vector<oci::Digest>& sums) {
  std::vector<std::string> texts;
  for (const auto& sum : sums) texts.push_back(sum.text());
  return oci::Digest::of(join(texts, std::string_view("\0", 1)));
}

}  // namespace slipway::buildcache
