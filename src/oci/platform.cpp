#include "oci/platform.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace slipway::oci {
namespace {

constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

// Go's lists (go/build syslist): what a single word may mean.
constexpr std::array<std::string_view, 16> kSystems = {
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd",    "illumos", "ios",
    "js",  "linux",   "netbsd", "openbsd",   "plan9",   "solaris", "windows", "zos"};
constexpr std::array<std::string_view, 15> kArchitectures = {"386",     "amd64",   "arm",    "arm64",    "loong64",
                                                             "mips",    "mipsle",  "mips64", "mips64le", "ppc64",
                                                             "ppc64le", "riscv64", "s390x",  "sparc64",  "wasm"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(kWord) == std::string_view::npos;
}

void normalize_architecture(std::string& architecture, std::string& variant) {
  architecture = lower(architecture);
  variant = lower(variant);
  if (architecture == "i386") {
    architecture = "386";
    variant.clear();
  } else if (architecture == "x86_64" || architecture == "x86-64" || architecture == "amd64") {
    architecture = "amd64";
    if (variant == "v1") variant.clear();
  } else if (architecture == "aarch64" || architecture == "arm64") {
    architecture = "arm64";
    if (variant == "8" || variant == "v8" || variant == "v8.0") variant.clear();
    if (variant == "9" || variant == "9.0" || variant == "v9.0") variant = "v9";
  } else if (architecture == "armhf") {
    architecture = "arm";
    variant = "v7";
  } else if (architecture == "armel") {
    architecture = "arm";
    variant = "v6";
  } else if (architecture == "arm") {
    if (variant.empty() || variant == "7") variant = "v7";
    if (variant == "5" || variant == "6" || variant == "8") variant = "v" + variant;
  }
}

/// N of "vN"; 0 for anything else. Versions of processors have one digit.
int version_of(std::string_view variant) {
  return variant.size() == 2 && variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' ? variant[1] - '0' : 0;
}

using Variants = std::vector<std::pair<std::string, std::string>>;  // architecture, variant; normalised

void add_arm(Variants& list, int newest) {
  for (int version = newest; version >= 5; --version) list.emplace_back("arm", fmt::format("v{}", version));
}

/// "v8.M" … "v8", written as normalisation leaves it ("" for v8).
void add_arm64(Variants& list, int major, int minor) {
  for (; minor > 0; --minor) list.emplace_back("arm64", fmt::format("v{}.{}", major, minor));
  list.emplace_back("arm64", major == 8 ? "" : fmt::format("v{}", major));
}

void add_arm64_and_older(Variants& list, const std::string& variant) {
  const std::string_view text = variant.empty() ? "v8" : std::string_view(variant);
  const int major = version_of(text.substr(0, 2));
  const bool pointed = text.size() == 4 && text[2] == '.' && text[3] >= '0' && text[3] <= '9';
  if ((major != 8 && major != 9) || !(text.size() == 2 || pointed)) {  // not one we know to have older siblings
    list.emplace_back("arm64", variant);
    return;
  }
  const int minor = pointed ? text[3] - '0' : 0;
  add_arm64(list, major, minor);
  if (major == 9) add_arm64(list, 8, std::min(minor + 5, 9));  // v9.N implements v8.(N+5)
  add_arm(list, 8);
}

/// What a machine of the normalised platform `wanted` runs, best first.
Variants runs(const Platform& wanted) {
  Variants list;
  if (wanted.architecture == "arm64") {
    add_arm64_and_older(list, wanted.variant);
  } else if (wanted.architecture == "arm" && version_of(wanted.variant) >= 5) {
    add_arm(list, version_of(wanted.variant));
  } else {
    list.emplace_back(wanted.architecture, wanted.variant);
  }
  if (wanted.architecture == "amd64") {
    for (int version = version_of(wanted.variant) - 1; version >= 1; --version)
      list.emplace_back("amd64", version == 1 ? "" : fmt::format("v{}", version));
    list.emplace_back("386", "");
  }
  return list;
}

/// "10.0.17763" of "10.0.17763.4252": Windows images run on the build they were made for, whatever its revision.
std::string_view windows_build(std::string_view version) {
  std::size_t end = 0;
  for (int dots = 0; end < version.size(); ++end)
    if (version[end] == '.' && ++dots == 3) break;
  return version.substr(0, end);
}

std::string build_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__i386__)
  return "386";
#elif defined(__arm__)
  return "arm";
#elif defined(__riscv) && __riscv_xlen == 64
  return "riscv64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  return "ppc64le";
#elif defined(__s390x__)
  return "s390x";
#elif defined(__loongarch64)
  return "loong64";
#else
#error "name this architecture as Go does"
#endif
}

}  // namespace

Platform Platform::normalized() const {
  Platform out = *this;
  out.os = os.empty() ? "linux" : lower(os);
  if (out.os == "macos") out.os = "darwin";
  normalize_architecture(out.architecture, out.variant);
  std::sort(out.os_features.begin(), out.os_features.end());
  out.os_features.erase(std::unique(out.os_features.begin(), out.os_features.end()), out.os_features.end());
  return out;
}

Platform Platform::host() {
  Platform out;
  out.architecture = build_architecture();
  return out.normalized();
}

Result<Platform> Platform::parse(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::kInvalidArgument,
                "{} is not a platform; write os/architecture[/variant], for example linux/arm64", quoted(text, 128));
  };
  std::vector<std::string_view> parts = split(text, '/');
  if (parts.size() > 3) return bad();
  Platform out;
  if (const auto bracket = parts[0].find('('); bracket != std::string_view::npos && parts[0].ends_with(')')) {
    const std::string_view version = parts[0].substr(bracket + 1, parts[0].size() - bracket - 2);
    if (!is_word(version)) return bad();
    out.os_version = version;
    parts[0] = parts[0].substr(0, bracket);
  }
  for (const std::string_view part : parts)
    if (!is_word(part)) return bad();
  out.os = parts[0];
  if (parts.size() > 1) {
    out.architecture = parts[1];
    if (parts.size() > 2) out.variant = parts[2];
    return out.normalized();
  }
  out.architecture = build_architecture();
  out = out.normalized();
  if (contains(kSystems, out.os)) return out;
  out.architecture = parts[0];
  out.variant.clear();
  out.os = "linux";
  out = out.normalized();
  return contains(kArchitectures, out.architecture) && out.os_version.empty() ? Result<Platform>(out) : bad();
}

std::string Platform::text() const {
  return printable(os + "/" + architecture + (variant.empty() ? "" : "/" + variant), 256);
}

std::string Platform::full_text() const {
  if (os_version.empty()) return text();
  Platform named = *this;
  named.os += "(" + os_version + ")";
  return named.text();
}

std::optional<std::size_t> Platform::rank(const Platform& other) const {
  const Platform mine = normalized();
  const Platform theirs = other.normalized();
  if (mine.os != theirs.os) return std::nullopt;
  if (mine.os == "windows" && !mine.os_version.empty() &&
      windows_build(mine.os_version) != windows_build(theirs.os_version))
    return std::nullopt;
  if (!std::includes(mine.os_features.begin(), mine.os_features.end(), theirs.os_features.begin(),
                     theirs.os_features.end()))
    return std::nullopt;
  const Variants list = runs(mine);
  const auto found = std::find(list.begin(), list.end(), std::pair(theirs.architecture, theirs.variant));
  if (found == list.end()) return std::nullopt;
  return static_cast<std::size_t>(found - list.begin());
}

}  // namespace slipway::oci
