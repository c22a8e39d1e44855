// The filter decides what Docker's profile says. The compiled program is interpreted and compared, call by call, with
// the rules as they stand in default.json, for Docker's default capabilities.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <vector>

namespace slipway::sandbox {
namespace {

using nlohmann::json;

constexpr sock_filter kFilter[] = {
#include "seccomp_default.inc"
};

constexpr sock_filter kSmallFilter[] = {
#include "seccomp_insecure.inc"
};

/// Classic BPF, as far as seccomp allows it.
std::uint32_t decide(const seccomp_data& data, std::span<const sock_filter> filter = kFilter) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < filter.size(); ++pc) {
    const auto& [code, jt, jf, k] = filter[pc];
    const auto jump = [&](bool yes) { pc += yes ? jt : jf; };
    switch (code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= k;
        break;
      case BPF_JMP | BPF_JA:
        pc += k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(a == k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(a > k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(a >= k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((a & k) != 0);
        break;
      case BPF_RET | BPF_K:
        return k;
      default:
        ADD_FAILURE() << "instruction " << code;
        return 0;
    }
  }
  ADD_FAILURE() << "the program has no end";
  return 0;
}

const std::set<std::string> kCaps = {"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
                                     "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
                                     "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
                                     "CAP_KILL",    "CAP_AUDIT_WRITE"};

bool intersects(const json& rule, const char* side, const char* key, const std::set<std::string>& have) {
  if (!rule.contains(side) || !rule[side].contains(key)) return false;
  for (const std::string item : rule[side][key])
    if (have.count(item) != 0) return true;
  return false;
}

bool counts(const json& rule) {
  const std::set<std::string> arch = {"amd64"};
  for (const auto& [key, have] : {std::pair{"caps", kCaps}, std::pair{"arches", arch}}) {
    if (rule.contains("includes") && rule["includes"].contains(key) && !intersects(rule, "includes", key, have))
      return false;
    if (intersects(rule, "excludes", key, have)) return false;
  }
  return true;
}

bool holds(const json& arg, const seccomp_data& data) {
  const std::uint64_t given = data.args[arg["index"].get<unsigned>()];
  const std::uint64_t value = arg["value"].get<std::uint64_t>();
  const std::string op = arg["op"];
  if (op == "SCMP_CMP_EQ") return given == value;
  if (op == "SCMP_CMP_LT") return given < value;
  if (op == "SCMP_CMP_GT") return given > value;
  if (op == "SCMP_CMP_MASKED_EQ") return (given & value) == arg.value("valueTwo", std::uint64_t{0});
  ADD_FAILURE() << op;
  return false;
}

std::uint32_t by_the_rules(const json& profile, const std::string& name, const seccomp_data& data) {
  for (const auto& rule : profile["syscalls"]) {
    if (!counts(rule) || std::ranges::count(rule["names"], json(name)) == 0) continue;
    bool all = true;
    if (rule.contains("args") && !rule["args"].is_null())
      for (const auto& arg : rule["args"]) all = all && holds(arg, data);
    if (!all) continue;
    if (rule["action"] == "SCMP_ACT_ALLOW") return SECCOMP_RET_ALLOW;
    return SECCOMP_RET_ERRNO | rule["errnoRet"].get<unsigned>();
  }
  return SECCOMP_RET_ERRNO | EPERM;
}

class SeccompTest : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef __x86_64__
    GTEST_SKIP() << "compares the numbers of x86_64";
#endif
    std::ifstream in(SLIPWAY_SECCOMP_PROFILE);
    profile_ = json::parse(in);
  }
  json profile_;
};

TEST_F(SeccompTest, EveryCallOfX8664IsDecidedByTheProfile) {
  int compared = 0;
  for (int number = 0; number < 470; ++number) {
    char* resolved = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
    if (resolved == nullptr) continue;
    const std::string name = resolved;
    free(resolved);
    for (const std::uint64_t value :
         {0ULL,          1ULL,          2ULL,          8ULL,          17ULL,      37ULL,
          38ULL,         39ULL,         40ULL,         41ULL,         131072ULL,  131080ULL,
          131081ULL,     4294967295ULL, 4294967296ULL, 0x10000000ULL, 0x20000ULL, 0x40000000ULL,
          0x02000000ULL, 0x7e020000ULL, 0x1200011ULL,  ~0ULL}) {
      const seccomp_data data{number, AUDIT_ARCH_X86_64, 0, {value, 0, 0, 0, 0, 0}};
      EXPECT_EQ(decide(data), by_the_rules(profile_, name, data)) << name << " " << value;
      ++compared;
    }
  }
  EXPECT_GT(compared, 7000);
}

TEST_F(SeccompTest, NewerCallsOfTheProfileAreAllowedAndUnknownOnesAbsent) {
  for (const int number : {451, 452, 457, 458, 462, 463, 464, 465, 466})
    EXPECT_EQ(decide({number, AUDIT_ARCH_X86_64, 0, {}}), SECCOMP_RET_ALLOW) << number;
  for (const int number : {459, 460, 461})  // lsm_*: with CAP_SYS_ADMIN only
    EXPECT_EQ(decide({number, AUDIT_ARCH_X86_64, 0, {}}), SECCOMP_RET_ERRNO | EPERM) << number;
  EXPECT_EQ(decide({500, AUDIT_ARCH_X86_64, 0, {}}), SECCOMP_RET_ERRNO | ENOSYS);
  EXPECT_EQ(decide({500, AUDIT_ARCH_I386, 0, {}}), SECCOMP_RET_ERRNO | ENOSYS);
}

TEST_F(SeccompTest, OtherArchitecturesOfTheMachine) {
  EXPECT_EQ(decide({4, AUDIT_ARCH_I386, 0, {}}), SECCOMP_RET_ALLOW);                           // write
  EXPECT_EQ(decide({21, AUDIT_ARCH_I386, 0, {}}), SECCOMP_RET_ERRNO | EPERM);                  // mount
  EXPECT_EQ(decide({0x40000001, AUDIT_ARCH_X86_64, 0, {}}), SECCOMP_RET_ALLOW);                // write of x32
  EXPECT_EQ(decide({0x40000000 | 165, AUDIT_ARCH_X86_64, 0, {}}), SECCOMP_RET_ERRNO | EPERM);  // mount of x32
  EXPECT_NE(decide({1, AUDIT_ARCH_AARCH64, 0, {}}), SECCOMP_RET_ALLOW);  // a foreign machine's call
}

TEST(Seccomp, InsecureRefusesTheKeyringsAndNothingElse) {
  const auto decision = [](std::uint32_t arch, std::uint32_t number) {
    seccomp_data data{};
    data.arch = arch;
    data.nr = static_cast<int>(number);
    return decide(data, kSmallFilter);
  };
  for (std::uint32_t number = 0; number < 600; ++number) {
    const bool keyring = number == 248 || number == 249 || number == 250;  // add_key, request_key, keyctl
    EXPECT_EQ(decision(AUDIT_ARCH_X86_64, number), keyring ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW) << number;
    EXPECT_EQ(decision(AUDIT_ARCH_X86_64, number | 0x40000000U),
              keyring ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW)
        << number << " of x32";
    const bool old = number >= 286 && number <= 288;
    EXPECT_EQ(decision(AUDIT_ARCH_I386, number), old ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW) << number;
  }
  EXPECT_NE(decision(AUDIT_ARCH_AARCH64, 1), SECCOMP_RET_ALLOW);
}

}  // namespace
}  // namespace slipway::sandbox
