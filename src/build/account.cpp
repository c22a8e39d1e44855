#include "build/account.hpp"

#include <charconv>

#include "base/text.hpp"

namespace slipway::build {
namespace {

constexpr std::int64_t kFileLimit = 4 << 20;

struct PasswdEntry {
  std::string name;
  std::uint32_t uid = 0, gid = 0;
  std::string home;
};
struct GroupEntry {
  std::string name;
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 0x7fffffff) return std::nullopt;
  return value;
}

// Lines that are no entry are skipped, as everybody's parser does.
std::vector<PasswdEntry> parse_passwd(std::string_view text) {
  std::vector<PasswdEntry> entries;
  for (const auto line : split(text, '\n')) {
    const auto fields = split(trim(line), ':');
    if (fields.size() < 4) continue;
    const auto uid = number(fields[2]), gid = number(fields[3]);
    if (!uid || !gid) continue;
    entries.push_back({std::string(fields[0]), *uid, *gid, fields.size() > 5 ? std::string(fields[5]) : ""});
  }
  return entries;
}

std::vector<GroupEntry> parse_group(std::string_view text) {
  std::vector<GroupEntry> entries;
  for (const auto line : split(text, '\n')) {
    const auto fields = split(trim(line), ':');
    if (fields.size() < 3) continue;
    const auto gid = number(fields[2]);
    if (!gid) continue;
    GroupEntry entry{std::string(fields[0]), *gid, {}};
    if (fields.size() > 3)
      for (const auto member : split(fields[3], ',')) entry.members.emplace_back(trim(member));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<PasswdEntry>> passwd_of(const Tree& root) {
  return parse_passwd(TRY(root.read_small_file("etc/passwd", kFileLimit)).value_or(""));
}
Result<std::vector<GroupEntry>> groups_of(const Tree& root) {
  return parse_group(TRY(root.read_small_file("etc/group", kFileLimit)).value_or(""));
}

std::optional<PasswdEntry> find_user(const std::vector<PasswdEntry>& entries, std::string_view user) {
  for (const auto& entry : entries)
    if (entry.name == user) return entry;
  if (const auto uid = number(user))
    for (const auto& entry : entries)
      if (entry.uid == *uid) return entry;
  return std::nullopt;
}

Result<std::uint32_t> find_group(const Tree& root, std::string_view group) {
  for (const auto& entry : TRY(groups_of(root)))
    if (entry.name == group) return entry.gid;
  if (const auto gid = number(group)) return *gid;
  return fail(Code::kInvalidArgument, "unable to find group {}: no matching entries in group file",
              printable(group, 64));
}

struct Spec {
  std::string user, group;
};
Spec cut(const std::string& spec) {
  const auto colon = spec.find(':');
  if (colon == std::string::npos) return {spec, ""};
  return {spec.substr(0, colon), spec.substr(colon + 1)};
}

}  // namespace

Result<Account> resolve_user(const std::string& spec, const Tree& root) {
  const auto [user, group] = cut(spec);
  Account account;
  const auto entries = TRY(passwd_of(root));
  const std::string wanted = user.empty() ? "0" : user;
  const auto entry = find_user(entries, wanted);
  if (entry) {
    account.uid = entry->uid;
    account.gid = entry->gid;
    account.home = entry->home.empty() ? "/" : entry->home;
  } else if (const auto uid = number(wanted)) {
    account.uid = *uid;
    if (*uid == 0 && entries.empty()) account.home = "/root";
  } else {
    return fail(Code::kInvalidArgument, "unable to find user {}: no matching entries in passwd file",
                printable(user, 64));
  }
  if (!group.empty()) {
    account.gid = TRY(find_group(root, group));
    return account;
  }
  if (!entry) return account;
  for (const auto& candidate : TRY(groups_of(root)))
    for (const auto& member : candidate.members)
      if (member == entry->name && candidate.gid != account.gid) account.groups.push_back(candidate.gid);
  return account;
}

Result<Owner> resolve_owner(const std::string& spec, const Tree& root) {
  const auto [user, group] = cut(spec);
  Owner owner;
  if (const auto uid = number(user)) {
    owner = {*uid, *uid};
  } else if (!user.empty()) {
    const auto entry = find_user(TRY(passwd_of(root)), user);
    if (!entry)
      return fail(Code::kInvalidArgument, "unable to find user {} for --chown: no matching entries in passwd file",
                  printable(user, 64));
    owner = {entry->uid, entry->gid};
  }
  if (!group.empty()) owner.gid = TRY(find_group(root, group));
  return owner;
}

}  // namespace slipway::build
