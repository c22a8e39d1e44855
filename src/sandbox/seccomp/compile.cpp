// slipway-seccomp-compile PROFILE.json ARCH OUT: a build-time program that turns Docker's seccomp profile into the
// filter that slipway-init installs, for Docker's default capabilities. It writes one `{code, jt, jf, k},` per
// instruction.
// With --keyrings instead of a profile: everything is allowed but the kernel's keyrings, which belong to a user id and
// to no namespace.
//
// libseccomp compiles the rules. Two things stand in front of its program, as in runc (libcontainer/seccomp/patchbpf):
//  * calls of the profile that are newer than the installed libseccomp, by number (they are equal on all machines);
//  * every call newer than any that the profile names fails with ENOSYS, not EPERM: C libraries probe new calls and
//    fall back on ENOSYS only.
#include <linux/audit.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

// Docker's default capabilities as far as the profile asks for one (moby oci/caps/defaults.go).
const std::set<std::string> kCapabilities = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE"};

// include/uapi/asm-generic/unistd.h; x86_64 has the same numbers from 424 on.
const std::map<std::string, std::uint32_t> kNewCalls = {
    {"cachestat", 451},         {"fchmodat2", 452},         {"map_shadow_stack", 453}, {"futex_wake", 454},
    {"futex_wait", 455},        {"futex_requeue", 456},     {"statmount", 457},        {"listmount", 458},
    {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},        {"listxattrat", 465},      {"removexattrat", 466},
    {"open_tree_attr", 467},    {"file_getattr", 468},      {"file_setattr", 469}};
// Known to the kernel of one machine only; without them a call merely fails there.
const std::set<std::string> kOneMachine = {"riscv_hwprobe", "uretprobe", "uprobe"};

struct Machine {
  std::string go_name;  // as "includes.arches" of the profile has it
  std::set<std::string> go_family;
  std::uint32_t native;
  std::vector<std::uint32_t> others;
  std::vector<std::uint32_t> audit;  // values of seccomp_data.arch that the front applies to
};

[[noreturn]] void die(const std::string& text) {
  std::fprintf(stderr, "slipway-seccomp-compile: %s\n", text.c_str());
  std::exit(1);
}

Machine machine_of(const std::string& name) {
  if (name == "x86_64" || name == "AMD64")
    return {"amd64",
            {"amd64", "x32", "x86"},
            SCMP_ARCH_X86_64,
            {SCMP_ARCH_X86, SCMP_ARCH_X32},
            {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386}};
  if (name == "aarch64" || name == "arm64")
    return {"arm64", {"arm64", "arm"}, SCMP_ARCH_AARCH64, {SCMP_ARCH_ARM}, {AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM}};
  die("no seccomp architecture is known for the processor " + name);
}

bool any_of(const json& rule, const char* side, const char* key, const std::set<std::string>& set) {
  if (!rule.contains(side) || rule[side].is_null() || !rule[side].contains(key)) return false;
  return std::any_of(rule[side][key].begin(), rule[side][key].end(),
                     [&](const json& item) { return set.count(item.get<std::string>()) != 0; });
}
bool asks(const json& rule, const char* side, const char* key) {
  return rule.contains(side) && !rule[side].is_null() && rule[side].contains(key);
}

/// moby profiles/seccomp: a rule counts when all its "includes" hold and none of its "excludes" does. "minKernel"
/// always holds: the oldest is 4.8, and id-mapped mounts need 5.12.
bool applies(const json& rule, const Machine& machine) {
  if (asks(rule, "includes", "caps") && !any_of(rule, "includes", "caps", kCapabilities)) return false;
  if (asks(rule, "includes", "arches") && !any_of(rule, "includes", "arches", {machine.go_name})) return false;
  if (any_of(rule, "excludes", "caps", kCapabilities)) return false;
  return !any_of(rule, "excludes", "arches", {machine.go_name});
}

scmp_compare comparison(const std::string& name) {
  static const std::map<std::string, scmp_compare> known = {{"SCMP_CMP_NE", SCMP_CMP_NE},
                                                            {"SCMP_CMP_LT", SCMP_CMP_LT},
                                                            {"SCMP_CMP_LE", SCMP_CMP_LE},
                                                            {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                                            {"SCMP_CMP_GE", SCMP_CMP_GE},
                                                            {"SCMP_CMP_GT", SCMP_CMP_GT},
                                                            {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  const auto found = known.find(name);
  if (found == known.end()) die("unknown comparison " + name);
  return found->second;
}

std::vector<scmp_arg_cmp> conditions(const json& rule) {
  std::vector<scmp_arg_cmp> out;
  if (!rule.contains("args") || rule["args"].is_null()) return out;
  for (const auto& arg : rule["args"]) {
    scmp_arg_cmp one{};
    one.arg = arg["index"].get<unsigned>();
    one.op = comparison(arg["op"].get<std::string>());
    one.datum_a = arg["value"].get<std::uint64_t>();
    one.datum_b = arg.value("valueTwo", std::uint64_t{0});
    out.push_back(one);
  }
  return out;
}

class Compiler {
 public:
  Compiler(const json& profile, Machine machine) : machine_(std::move(machine)) {
    if (profile["defaultAction"] != "SCMP_ACT_ERRNO") die("the profile's default action is not SCMP_ACT_ERRNO");
    begin(SCMP_ACT_ERRNO(profile.value("defaultErrnoRet", EPERM)));
    for (const auto& rule : profile["syscalls"])
      if (applies(rule, machine_)) add(rule);
  }
  /// Everything but keyrings.
  explicit Compiler(Machine machine) : machine_(std::move(machine)) {
    begin(SCMP_ACT_ALLOW);
    for (const int number : {SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl)})
      check(seccomp_rule_add(filter_, SCMP_ACT_ERRNO(EPERM), number, 0), "seccomp_rule_add");
  }
  ~Compiler() { seccomp_release(filter_); }

  std::vector<sock_filter> compile(bool with_front) {
    const int file = memfd_create("filter", 0);
    check(seccomp_export_bpf(filter_, file), "seccomp_export_bpf");
    const off_t size = lseek(file, 0, SEEK_END);
    std::vector<sock_filter> rules(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (pread(file, rules.data(), static_cast<std::size_t>(size), 0) != size) die("short read");
    close(file);
    std::vector<sock_filter> out = with_front ? front() : std::vector<sock_filter>();
    out.insert(out.end(), rules.begin(), rules.end());
    if (out.size() > BPF_MAXINSNS) die("the filter has more instructions than the kernel takes");
    return out;
  }

 private:
  void begin(std::uint32_t action) {
    filter_ = seccomp_init(action);
    if (filter_ == nullptr) die("seccomp_init failed");
    if (seccomp_arch_exist(filter_, machine_.native) != 0) {  // cross build: not the machine we run on
      check(seccomp_arch_add(filter_, machine_.native), "seccomp_arch_add");
      check(seccomp_arch_remove(filter_, SCMP_ARCH_NATIVE), "seccomp_arch_remove");
    }
    for (const auto other : machine_.others) check(seccomp_arch_add(filter_, other), "seccomp_arch_add");
    check(seccomp_attr_set(filter_, SCMP_FLTATR_CTL_OPTIMIZE, 2), "binary tree");
  }

  static void check(int result, const std::string& what) {
    if (result < 0) die(what + ": " + strerror(-result));
  }

  void add(const json& rule) {
    const std::string action = rule["action"];
    const std::uint32_t act =
        action == "SCMP_ACT_ALLOW" ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(rule.value("errnoRet", EPERM));
    if (action != "SCMP_ACT_ALLOW" && action != "SCMP_ACT_ERRNO") die("unknown action " + action);
    const auto args = conditions(rule);
    for (const std::string name : rule["names"]) {
      if (const auto known = kNewCalls.find(name); known != kNewCalls.end()) newest_ = std::max(newest_, known->second);
      const int number = seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) {
        add_new(name, act, args.empty());
        continue;
      }
      const int done = seccomp_rule_add_array(filter_, act, number, static_cast<unsigned>(args.size()), args.data());
      if (done < 0 && done != -EDOM) die("rule for " + name + ": " + strerror(-done));
    }
  }

  void add_new(const std::string& name, std::uint32_t act, bool plain) {
    if (kOneMachine.count(name) != 0) return;
    const auto known = kNewCalls.find(name);
    if (known == kNewCalls.end() || act != SCMP_ACT_ALLOW || !plain)
      die("the call " + name + " is unknown to libseccomp and to this program");
    extra_.insert(known->second);
  }

  /// Falls through to libseccomp's program unless it decides. Jumps are relative and counted from the next instruction.
  std::vector<sock_filter> front() const {
    const auto statement = [](unsigned code, std::uint32_t k) {
      return sock_filter{static_cast<std::uint16_t>(code), 0, 0, k};
    };
    const auto jump = [](unsigned code, std::uint32_t k, unsigned yes, unsigned no) {
      return sock_filter{static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(yes),
                         static_cast<std::uint8_t>(no), k};
    };
    // One block decides by number; x32 numbers (bit 30) never match it and go to libseccomp's rules.
    std::vector<sock_filter> block;
    block.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const auto number : extra_) {
      block.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
      block.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    block.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2, 0));
    block.push_back(jump(BPF_JMP | BPF_JGT | BPF_K, newest_, 0, 1));
    block.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    std::vector<sock_filter> out;
    out.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
    const auto count = static_cast<unsigned>(machine_.audit.size());
    for (unsigned i = 0; i < count; ++i)  // to the block when it is one of ours, past it after the last
      out.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, machine_.audit[i], count - 1 - i,
                         i + 1 == count ? static_cast<unsigned>(block.size()) : 0));
    out.insert(out.end(), block.begin(), block.end());
    return out;
  }

  Machine machine_;
  scmp_filter_ctx filter_ = nullptr;
  std::set<std::uint32_t> extra_;
  std::uint32_t newest_ = 424;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) die("usage: slipway-seccomp-compile PROFILE.json|--keyrings ARCH OUT");
  const bool keyrings = std::string(arguments[1]) == "--keyrings";
  std::vector<sock_filter> filter;
  if (keyrings) {
    filter = Compiler(machine_of(arguments[2])).compile(false);
  } else {
    std::ifstream in(arguments[1]);
    const json profile = json::parse(in, nullptr, false);
    if (profile.is_discarded()) die(std::string("cannot parse ") + arguments[1]);
    filter = Compiler(profile, machine_of(arguments[2])).compile(true);
  }
  std::ofstream out(arguments[3]);
  for (const auto& [code, jt, jf, k] : filter) out << "{" << code << "," << +jt << "," << +jf << "," << k << "u},\n";
  out.close();
  if (!out) die(std::string("cannot write ") + arguments[3]);
}
