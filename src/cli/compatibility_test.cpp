#include "cli/compatibility.hpp"

#include <gtest/gtest.h>

#include "cli/commands.hpp"

namespace slipway::cli {
namespace {

using List = std::vector<std::string>;
constexpr auto kNoEnvironment = [](const std::string&) -> std::optional<std::string> { return std::nullopt; };

Result<Arguments> arguments_of(List words) {
  words.insert(words.begin(), "build");
  words.emplace_back(".");
  return TRY(parse_command_line(all_commands(), words)).arguments;
}

List notes(const List& words) {
  const auto arguments = arguments_of(words);
  if (!arguments) return {arguments.error().what()};
  const auto found = compatibility_notes(*arguments);
  if (!found) EXPECT_EQ(found.error().code(), Code::kUsage);
  return found ? *found : List{found.error().what()};
}

std::string attestation_error(const List& words, const registry::Environment& environment = kNoEnvironment) {
  const auto arguments = arguments_of(words);
  if (!arguments) return arguments.error().what();
  const Status status = check_attestations(*arguments, environment);
  if (status) return "no error";
  EXPECT_EQ(status.error().code(), Code::kUsage);
  return status.error().what();
}

TEST(Compatibility, EveryOptionOfTheClassicBuilderIsTaken) {
  const auto all = notes({"--squash", "--rm", "--force-rm", "--memory", "1g", "--memory-swap=-1", "--cpu-shares", "2",
                          "--cpu-period=100000", "--cpu-quota=5", "--cpuset-cpus", "0-3,5", "--cpuset-mems=0",
                          "--isolation=default", "--compress", "--disable-content-trust", "--builder", "b"});
  EXPECT_EQ(all.size(), 14u);
  for (const auto& note : all) EXPECT_TRUE(note.contains(" changes nothing: ")) << note;
  EXPECT_EQ(notes({"-m", "512m", "-c", "1"}).size(), 2u);
  EXPECT_EQ(notes({"--rm=false", "--squash=false", "--builder="}), List());
}

TEST(Compatibility, WhatProtectsIsRefused) {
  for (const List& words : {List{"--security-opt", "seccomp=x.json"}, List{"--policy", "filename=p.rego"}})
    EXPECT_TRUE(notes(words)[0].contains("is not ignored: it is about security")) << notes(words)[0];
  EXPECT_TRUE(notes({"--isolation", "hyperv"})[0].starts_with("option --isolation \"hyperv\""));
  EXPECT_TRUE(notes({"--disable-content-trust=false"})[0].contains("asks for signatures to be checked"));
}

TEST(Compatibility, ValuesThatDockerWouldNotTakeAreMistakes) {
  EXPECT_EQ(notes({"--memory", "lots"}), List{"option --memory is a size such as 512m, not \"lots\""});
  EXPECT_EQ(notes({"--cpu-quota", "x"}), List{"option --cpu-quota is a number, not \"x\""});
  EXPECT_EQ(notes({"--cpuset-cpus", "all"}), List{"option --cpuset-cpus is a list such as 0-3,5, not \"all\""});
}

TEST(Attestations, NoneIsWhatIsMade) {
  for (const List& words :
       {List{"--provenance", "false"}, List{"--provenance=0"}, List{"--provenance="}, List{"--sbom=false"},
        List{"--provenance", "disabled=true"}, List{"--sbom", "none"}, List{"--attest", "type=sbom,disabled=true"},
        List{"--attest", "type=provenance,disabled=true,mode=max"}, List{}})
    EXPECT_EQ(attestation_error(words), "no error");
  EXPECT_EQ(attestation_error({}, [](const std::string&) { return std::optional<std::string>("1"); }), "no error");
}

TEST(Attestations, AskingForOneIsRefused) {
  EXPECT_EQ(attestation_error({"--provenance=true"}),
            "option --provenance \"true\" asks for a record of provenance, which this version does not make");
  EXPECT_EQ(attestation_error({"--provenance", "mode=max"}),
            "option --provenance \"mode=max\" asks for a record of provenance, which this version does not make");
  EXPECT_EQ(attestation_error({"--sbom", "generator=x"}),
            "option --sbom \"generator=x\" asks for a bill of materials, which this version does not make");
  EXPECT_EQ(attestation_error({"--attest", "type=sbom"}),
            "option --attest \"type=sbom\" asks for a bill of materials, which this version does not make");
  EXPECT_EQ(attestation_error({"--attest", "type=other"}),
            "option --attest is type=provenance or type=sbom, not \"type=other\"");
  EXPECT_EQ(attestation_error({"--provenance", "maybe"}), "option --provenance is true or false, not \"maybe\"");
  EXPECT_EQ(attestation_error({"--provenance", "mode=max,x"}), "option --provenance: \"x\" is no KEY=VALUE");
}

}  // namespace
}  // namespace slipway::cli
