#include "sandbox/emulation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sandbox/elf.hpp"
#include "sandbox/step_fixture.hpp"

namespace slipway::sandbox {
namespace {

using testing::HasSubstr;

constexpr std::string_view kAarch64 =
    "enabled\n"
    "interpreter /usr/bin/qemu-aarch64-static\n"
    "flags: OCF\n"
    "offset 0\n"
    "magic 7f454c460201010000000000000000000200b700\n"
    "mask ffffffffffffff00fffffffffffffffffeffffff\n";

std::string with(std::string_view from, std::string_view to) {
  std::string text(kAarch64);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

BinfmtTable table_of(std::string_view text) {
  return {.visible = true, .enabled = true, .entries = {*BinfmtEntry::parse("qemu-aarch64", text)}};
}

/// An architecture that is not this machine's, nor its sibling.
constexpr std::string_view kForeign =
#if defined(__aarch64__)
    "riscv64";
#else
    "arm64";
#endif

// --- ELF ---

TEST(Elf, ProgramsOfAllArchitecturesAreWhatTheyAreFor) {
  std::set<std::string> different;
  for (const auto architecture : known_architectures()) {
    const std::string program = exit_program(architecture);
    EXPECT_EQ(architecture_of(program), architecture);
    EXPECT_EQ(architecture_of(program.substr(0, kElfHead)), architecture);
    different.insert(program);
  }
  EXPECT_EQ(different.size(), known_architectures().size());
  EXPECT_EQ(exit_program("pdp11"), "");
}

TEST(Elf, OtherFilesAreOfNoArchitecture) {
  EXPECT_EQ(architecture_of(""), std::nullopt);
  EXPECT_EQ(architecture_of("\x7f"
                            "ELF"),
            std::nullopt);
  EXPECT_EQ(architecture_of("#!/bin/sh\necho this is no program at all\n"), std::nullopt);
  EXPECT_EQ(architecture_of(std::string("\x7f"
                                        "ELF\2\1\1") +
                            std::string(60, '\0')),
            std::nullopt);
}

// --- the kernel's table ---

TEST(Binfmt, ReadsWhatTheKernelShows) {
  const auto entry = BinfmtEntry::parse("qemu-aarch64", kAarch64);
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->enabled);
  EXPECT_EQ(entry->interpreter, "/usr/bin/qemu-aarch64-static");
  EXPECT_EQ(entry->flags, "OCF");
  EXPECT_TRUE(entry->takes(exit_program("arm64")));
  EXPECT_FALSE(entry->takes(exit_program("amd64")));
  EXPECT_FALSE(entry->takes(exit_program("riscv64")));
  EXPECT_FALSE(
      entry->takes("\x7f"
                   "ELF"));
}

TEST(Binfmt, TakesSharedObjectsToo) {
  std::string pie = exit_program("arm64");
  pie[16] = 3;  // ET_DYN: what most programs are
  EXPECT_TRUE(BinfmtEntry::parse("qemu-aarch64", kAarch64)->takes(pie));
}

TEST(Binfmt, RefusesWhatIsNoHandlerByMagic) {
  EXPECT_FALSE(BinfmtEntry::parse("wine", "enabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n"));
  EXPECT_FALSE(BinfmtEntry::parse("odd", "enabled\ninterpreter /x\noffset 0\nmagic 7f4\n"));
  EXPECT_FALSE(BinfmtEntry::parse("letters", "enabled\ninterpreter /x\noffset 0\nmagic zz\n"));
  EXPECT_FALSE(BinfmtEntry::parse("mask", "enabled\ninterpreter /x\noffset 0\nmagic 7f45\nmask ff\n"));
  EXPECT_FALSE(BinfmtEntry::parse("empty", ""));
}

TEST(Binfmt, AMagicNumberBehindTheHeadIsNotTaken) {
  EXPECT_FALSE(BinfmtEntry::parse("far", "enabled\ninterpreter /x\noffset 999999\nmagic 7f\n")
                   ->takes("\x7f"
                           "ELF"));
  EXPECT_TRUE(BinfmtEntry::parse("near", "enabled\ninterpreter /x\noffset 1\nmagic 45\n")
                  ->takes("\x7f"
                          "ELF"));
}

TEST(Binfmt, ReadsADirectoryAsTheKernelShowsIt) {
  const auto directory = sys::TempDir::make("/tmp", "binfmt-test-");
  ASSERT_TRUE(directory);
  const auto write = [&](const std::string& name, std::string_view text) {
    std::ofstream(directory->path() + "/" + name) << text;
  };
  EXPECT_FALSE(BinfmtTable::read(directory->path()).visible);  // not mounted: an empty directory
  EXPECT_FALSE(BinfmtTable::read("/does/not/exist").visible);
  write("status", "enabled\n");
  write("register", "");
  write("qemu-aarch64", kAarch64);
  write("python3", "enabled\ninterpreter /usr/bin/python3\nflags: \noffset 0\nmagic a70d0d0a\n");
  write("broken", "what?");
  const BinfmtTable table = BinfmtTable::read(directory->path());
  EXPECT_TRUE(table.visible);
  EXPECT_TRUE(table.enabled);
  ASSERT_EQ(table.entries.size(), 2U);
  ASSERT_NE(table.find(exit_program("arm64")), nullptr);
  EXPECT_EQ(table.find(exit_program("arm64"))->name, "qemu-aarch64");
  EXPECT_EQ(table.find(exit_program("s390x")), nullptr);
  write("status", "disabled\n");
  EXPECT_FALSE(BinfmtTable::read(directory->path()).enabled);
}

// --- what they say together ---

TEST(Emulation, WhatRanIsEmulatedByTheHandlerThatTakesIt) {
  const Emulation found = explain_emulation("arm64", true, table_of(kAarch64));
  EXPECT_EQ(found.how, Emulation::How::kEmulated);
  EXPECT_EQ(found.by, "/usr/bin/qemu-aarch64-static");
}

TEST(Emulation, WhatRanInAContainerIsEmulatedByAHandlerThatDoesNotShow) {
  const Emulation found = explain_emulation(kForeign, true, {});
  EXPECT_EQ(found.how, Emulation::How::kEmulated);
  EXPECT_THAT(found.by, HasSubstr("does not name"));
}

TEST(Emulation, SaysWhyNothingRan) {
  const auto reason = [](const BinfmtTable& table) {
    const Emulation found = explain_emulation("arm64", false, table);
    EXPECT_EQ(found.how, Emulation::How::kNone);
    EXPECT_NE(found.knob, "");
    return found.reason;
  };
  EXPECT_EQ(reason({}), "the kernel does not run arm64 programs");
  EXPECT_EQ(reason({.visible = true, .enabled = true, .entries = {}}),
            "no handler of binfmt_misc takes arm64 programs");
  EXPECT_EQ(reason(table_of(with("enabled", "disabled"))), "the handler qemu-aarch64 of binfmt_misc is disabled");
  EXPECT_EQ(
      reason(table_of(with("OCF", "OC"))),
      "the handler qemu-aarch64 of binfmt_misc has no flag F: its interpreter /usr/bin/qemu-aarch64-static is not "
      "found inside of steps");
  EXPECT_EQ(reason(table_of(kAarch64)),
            "the interpreter /usr/bin/qemu-aarch64-static of the handler qemu-aarch64 failed");
  BinfmtTable off = table_of(kAarch64);
  off.enabled = false;
  EXPECT_EQ(reason(off), "binfmt_misc is switched off");
}

TEST(Emulation, AnUnknownArchitectureIsNotEmulated) {
  EXPECT_EQ(explain_emulation("pdp11", false, {}).how, Emulation::How::kNone);
}

// --- the trial ---

TEST_F(StepTest, EmulationIsTriedInAStep) {
  if (own_architecture().empty()) GTEST_SKIP() << "no program of this architecture is known";
  const auto own = box_->emulation(own_architecture(), Cancel());
  ASSERT_TRUE(own) << own.error().message();
  EXPECT_EQ(own->how, Emulation::How::kNative) << own->reason;  // the same program for ourselves runs
  for (const auto architecture : known_architectures()) {
    const auto found = box_->emulation(architecture, Cancel());
    ASSERT_TRUE(found) << architecture << ": " << found.error().message();
    EXPECT_EQ(found->how == Emulation::How::kNone, !found->reason.empty()) << architecture;
  }
  EXPECT_EQ(box_->emulation("pdp11", Cancel())->how, Emulation::How::kNone);
}

}  // namespace
}  // namespace slipway::sandbox
