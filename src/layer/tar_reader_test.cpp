#include "layer/tar_reader.hpp"

#include <gmock/gmock.h>

#include "layer/archive_testing.hpp"
#include "layer/pax.hpp"

namespace slipway::layer {
namespace {

using testing::Archive;
using testing::chunks_of;
using testing::RawHeader;

struct Member {
  Entry entry;
  std::string content;  ///< holes as zeros
};

Result<std::vector<Member>> read_all(std::string_view bytes, std::size_t step = SIZE_MAX, const Limits& limits = {}) {
  TarReader reader(chunks_of(bytes, step), limits);
  std::vector<Member> members;
  Member member;
  while (TRY(reader.next(member.entry))) {
    member.content.assign(static_cast<std::size_t>(member.entry.size), '\0');
    while (true) {
      const auto piece = TRY(reader.read());
      if (piece.bytes.empty()) break;
      member.content.replace(static_cast<std::size_t>(piece.offset), piece.bytes.size(), piece.bytes);
    }
    members.push_back(member);
  }
  TRY(reader.drain());
  return members;
}

Result<Entry> first_of(const std::string& bytes, const Limits& limits = {}) {
  TarReader reader(chunks_of(bytes), limits);
  Entry entry;
  if (!TRY(reader.next(entry))) return fail(Code::kNotFound, "no member");
  return entry;
}

Code code_of(const std::string& bytes) {
  const auto result = first_of(bytes);
  return result ? Code::kInternal : result.error().code();
}

std::string extended(char type, std::string_view records) {
  return Archive().raw(RawHeader(type, "x", static_cast<std::int64_t>(records.size())).block(), records).open();
}

TEST(TarReader, ReadsWhatTheWriterWritesInAnySteps) {
  Archive archive;
  const Entry full{.type = EntryType::kFile,
                   .path = "",
                   .mode = 04755,
                   .uid = 3'000'000,
                   .gid = 7,
                   .mtime = {-5, 250'000'000},
                   .size = 0,
                   .xattrs = {{"user.a", std::string("\0\n=", 3)}, {"user.b", ""}}};
  archive.dir("d")
      .file("d/f", "content", full)
      .symlink("d/s", std::string(300, 't'))
      .link("h", "d/f")
      .device(EntryType::kCharDevice, "c", 1, 3);
  archive.file(std::string(90, 'a') + "/" + std::string(200, 'b'), std::string(70'000, 'x'))
      .device(EntryType::kFifo, "p")
      .file("lat\xefn", "");
  const std::string bytes = archive.done();
  const auto whole = *read_all(bytes);
  ASSERT_EQ(whole.size(), 8U);
  EXPECT_EQ(whole[0].entry.path, "d/");
  Entry expected = full;
  expected.path = "d/f";
  expected.size = 7;
  EXPECT_EQ(whole[1].entry, expected);
  EXPECT_EQ(whole[1].content, "content");
  EXPECT_EQ(whole[2].entry.link_target, std::string(300, 't'));
  EXPECT_EQ(whole[3].entry.type, EntryType::kHardLink);
  EXPECT_EQ(whole[4].entry.dev_minor, 3U);
  EXPECT_EQ(whole[5].entry.path.size(), 291U);
  EXPECT_EQ(whole[7].entry.path, "lat\xefn");
  for (const std::size_t step : {1UL, 511UL, 513UL, 1000UL}) {
    const auto parts = *read_all(bytes, step);
    ASSERT_EQ(parts.size(), whole.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(parts[i].entry, whole[i].entry);
      EXPECT_EQ(parts[i].content, whole[i].content);
    }
  }
}

TEST(TarReader, ContentThatIsNotReadIsSkipped) {
  const std::string bytes = Archive().file("a", std::string(1000, 'a')).file("b", "b").done();
  EXPECT_THAT(testing::members_of(bytes), ::testing::ElementsAre("a", "b"));
}

TEST(TarReader, EndsAsGoEnds) {
  EXPECT_TRUE(read_all("")->empty());
  EXPECT_TRUE(read_all(std::string(1024, '\0'))->empty());
  EXPECT_TRUE(read_all(std::string(512, '\0'))->empty());
  EXPECT_EQ(read_all(Archive().file("a", "x").open())->size(), 1U);  // no zero blocks at all
  EXPECT_EQ(read_all(Archive().file("a", "x").done() + "whatever follows")->size(), 1U);
  const std::string lone = Archive().file("a", "x").bytes(std::string(512, '\0')).file("b", "y").done();
  EXPECT_EQ(read_all(lone).error().code(), Code::kInvalidArgument);
}

TEST(TarReader, EveryCutInsideIsDataLoss) {
  const std::string bytes =
      extended('x', pax_record("path", "long")) + Archive().file("a", std::string(600, 'x')).open();
  for (std::size_t size = 1; size < bytes.size(); size += 37) {
    const auto result = read_all(bytes.substr(0, size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code(), Code::kDataLoss) << size;
  }
}

TEST(TarReader, ChecksumIsVerifiedBothWays) {
  std::string bytes = Archive().file("lat\xefn", "").done();
  bytes = bytes.substr(1024);  // behind the pax header
  bytes[0] = 'X';
  EXPECT_EQ(code_of(bytes), Code::kInvalidArgument);
  RawHeader header('0', "n\xff\xfe");
  const auto sums = tar_sums(header.block());
  ASSERT_NE(sums.of_signed, sums.of_unsigned);
  for (const auto sum : {sums.of_signed, sums.of_unsigned})
    EXPECT_EQ(
        first_of(header.put(tar_field::kChecksum, fmt::format("{:06o}", sum) + std::string("\0 ", 2)).block())->path,
        "n\xff\xfe");
  EXPECT_EQ(code_of(std::string(5000, 'x')), Code::kInvalidArgument);
}

TEST(TarReader, NumbersInEveryForm) {
  const auto size_field = [](std::string_view text) {
    return first_of(Archive().raw(RawHeader('0', "f").put(tar_field::kSize, text).block()).open());
  };
  EXPECT_EQ(size_field(std::string("\0\0\0\0\0\0\0\0\0\0\0\0", 12))->size, 0);
  EXPECT_EQ(size_field("        17 \0")->size, 15);
  EXPECT_EQ(size_field(std::string("17\0garbage..", 12))->size, 15);
  EXPECT_EQ(size_field("777777777777")->size, (std::int64_t{1} << 36) - 1);
  EXPECT_EQ(size_field(std::string("\x80\0\0\0\0\0\0\x02\0\0\0\0", 12))->size, std::int64_t{1} << 33);
  EXPECT_EQ(size_field(std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12))->size, INT64_MAX);
  for (const auto& bad :
       {std::string("8"), std::string("-1"), std::string("0x10"), std::string(12, '\xff'),
        std::string("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12), std::string("\x80\1\0\0\0\0\0\0\0\0\0\0", 12)})
    EXPECT_EQ(size_field(bad).error().code(), Code::kInvalidArgument);
  const auto mtime = first_of(
      Archive().raw(RawHeader('0', "f").put(tar_field::kMtime, std::string(11, '\xff') + "\xfb").block()).open());
  EXPECT_EQ(mtime->mtime.seconds, -5);
}

TEST(TarReader, IdsOutOfRangeAreRefused) {
  for (const char* id : {"4294967295", "99999999999", "-1", "x"}) {
    const auto result = first_of(extended('x', pax_record("uid", id)) + Archive().file("f", "").done());
    EXPECT_FALSE(result) << id;
  }
  EXPECT_EQ(first_of(extended('x', pax_record("gid", "4294967294")) + Archive().file("f", "").done())->gid,
            4294967294U);
}

TEST(TarReader, Prefixes) {
  const auto path_with = [](std::string_view magic, std::string_view trailer) {
    RawHeader header('0', "name");
    header.put({257, 8}, magic).put(tar_field::kPrefix, "dir").put({508, 4}, trailer);
    return first_of(Archive().raw(header.block()).open())->path;
  };
  EXPECT_EQ(path_with(std::string("ustar\00000", 8), ""), "dir/name");
  EXPECT_EQ(path_with(std::string("ustar\00000", 8), std::string("tar\0", 4)), "dir/name");
  EXPECT_EQ(path_with(std::string("ustar  \0", 8), ""), "name");  // GNU: access time stands there
  EXPECT_EQ(path_with(std::string(8, '\0'), ""), "name");         // V7
}

TEST(TarReader, Types) {
  const auto type_of = [](char flag, std::string_view name = "n") {
    return first_of(Archive().raw(RawHeader(flag, name).block()).open());
  };
  EXPECT_EQ(type_of('\0')->type, EntryType::kFile);
  EXPECT_EQ(type_of('\0', "n/")->type, EntryType::kDirectory);
  EXPECT_EQ(type_of('7')->type, EntryType::kFile);
  EXPECT_EQ(type_of('D')->type, EntryType::kDirectory);
  EXPECT_EQ(type_of('M').error().code(), Code::kUnimplemented);
  for (const char flag : {'8', '9', 'A', 'Z', 'N', '\x1b', '\xff'})
    EXPECT_EQ(type_of(flag).error().code(), Code::kInvalidArgument) << flag;
  // A volume label is no member.
  EXPECT_EQ(first_of(Archive().raw(RawHeader('V', "label").block()).file("f", "").done())->path, "f");
}

TEST(TarReader, LinksAndDirectoriesHaveNoContentWhateverTheySay) {
  for (const char flag : {'1', '2', '5', '6'}) {
    const auto members =
        read_all(Archive().raw(RawHeader(flag, "a", 512).put(tar_field::kLink, "t").block()).file("b", "y").done());
    ASSERT_TRUE(members) << flag;
    EXPECT_EQ(members->size(), 2U) << flag;
  }
  // GNU's directory listings have, and it is no file.
  const auto members = *read_all(Archive().raw(RawHeader('D', "a/", 3).block(), "Yb\0").file("b", "y").done());
  EXPECT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].entry.size, 0);
}

TEST(TarReader, GnuLongNames) {
  const std::string name(5000, 'n'), target(3000, 't');
  const std::string bytes = Archive()
                                .raw(RawHeader('L', "././@LongLink", 5001).block(), name + '\0')
                                .raw(RawHeader('K', "././@LongLink", 3001).block(), target + '\0')
                                .raw(RawHeader('2', "short").put(tar_field::kLink, "short").block())
                                .file("next", "")
                                .done();
  const auto members = *read_all(bytes, 100);
  EXPECT_EQ(members[0].entry.path, name);
  EXPECT_EQ(members[0].entry.link_target, target);
  EXPECT_EQ(members[1].entry.path, "next");
}

TEST(TarReader, GlobalHeadersHoldUntilChanged) {
  const std::string bytes = extended('g', pax_record("mtime", "77") + pax_record("comment", "c")) +
                            Archive().file("a", "").open() + extended('x', pax_record("mtime", "5")) +
                            Archive().file("b", "").open() + extended('x', pax_record("mtime", "")) +
                            Archive().file("c", "").open() + Archive().file("d", "").done();
  const auto members = *read_all(bytes);
  EXPECT_EQ(members[0].entry.mtime.seconds, 77);
  EXPECT_EQ(members[1].entry.mtime.seconds, 5);
  EXPECT_EQ(members[2].entry.mtime.seconds, 0);
  EXPECT_EQ(members[3].entry.mtime.seconds, 77);
}

TEST(TarReader, GlobalHeadersCanNotNameAMember) {
  for (const char* key : {"path", "linkpath", "size", "GNU.sparse.map", "SCHILY.xattr.user.a"})
    EXPECT_EQ(code_of(extended('g', pax_record(key, "1")) + Archive().file("a", "").done()), Code::kInvalidArgument)
        << key;
}

TEST(TarReader, PaxOverridesAndItsPathsHaveNoNul) {
  const std::string member = Archive().file("short", "").done();
  EXPECT_EQ(first_of(extended('x', pax_record("path", "lo\nng") + pax_record("path", "last")) + member)->path, "last");
  EXPECT_EQ(code_of(extended('x', pax_record("path", std::string("a\0b", 3))) + member), Code::kInvalidArgument);
  EXPECT_EQ(code_of(extended('x', "not a record") + member), Code::kInvalidArgument);
  // The size counts also for where the next member stands.
  const std::string sized = extended('x', pax_record("size", "600")) +
                            Archive().raw(RawHeader('0', "f", 1).block(), std::string(600, 'x')).file("g", "").done();
  EXPECT_THAT(testing::members_of(sized), ::testing::ElementsAre("f", "g"));
}

TEST(TarReader, AttributesOfBothKinds) {
  const std::string records = pax_record("LIBARCHIVE.xattr.user.a%3Db", "aGVsbG8") +
                              pax_record("LIBARCHIVE.xattr.user.c", "eA==") +
                              pax_record("SCHILY.xattr.user.c", std::string("\0y", 2));
  EXPECT_THAT(
      first_of(extended('x', records) + Archive().file("f", "").done())->xattrs,
      ::testing::ElementsAre(std::pair("user.a=b", "hello"), std::pair(std::string("user.c"), std::string("\0y", 2))));
  EXPECT_EQ(code_of(extended('x', pax_record("SCHILY.xattr.", "x")) + Archive().file("f", "").done()),
            Code::kInvalidArgument);
  EXPECT_EQ(code_of(extended('x', pax_record("LIBARCHIVE.xattr.user.c", "*")) + Archive().file("f", "").done()),
            Code::kInvalidArgument);
}

TEST(TarReader, LimitsComeBeforeReading) {
  const Limits limits{.xattr_bytes = 100, .extended_bytes = 1000};
  for (const char flag : {'x', 'g', 'L', 'K', 'V'}) {
    const auto result = first_of(Archive().raw(RawHeader(flag, "x", 1001).block()).open(), limits);  // no data is there
    EXPECT_EQ(result.error().code(), Code::kOutOfRange) << flag;
  }
  const std::string member = Archive().file("f", "").done();
  EXPECT_EQ(
      first_of(extended('x', pax_record("SCHILY.xattr.user.a", std::string(100, 'v'))) + member, limits).error().code(),
      Code::kOutOfRange);
  std::string globals;
  for (int i = 0; i < 10; ++i) globals += extended('g', pax_record("k" + std::to_string(i), std::string(150, 'v')));
  EXPECT_EQ(first_of(globals + member, limits).error().code(), Code::kOutOfRange);
}

// --- sparse files ---

std::string sparse_content(std::size_t size, const std::vector<std::pair<std::size_t, std::string>>& stretches) {
  std::string content(size, '\0');
  for (const auto& [offset, bytes] : stretches) content.replace(offset, bytes.size(), bytes);
  return content;
}

TEST(TarReader, PaxSparse00And01) {
  const std::string data = std::string(3, 'a') + std::string(4, 'b');
  const std::string expected = sparse_content(100, {{10, "aaa"}, {50, "bbbb"}});
  const std::string member = Archive().raw(RawHeader('0', "stored", 7).block(), data).file("next", "").done();
  const std::string v00 = pax_record("GNU.sparse.size", "100") + pax_record("GNU.sparse.numblocks", "3") +
                          pax_record("GNU.sparse.offset", "10") + pax_record("GNU.sparse.numbytes", "3") +
                          pax_record("GNU.sparse.offset", "50") + pax_record("GNU.sparse.numbytes", "4") +
                          pax_record("GNU.sparse.offset", "100") + pax_record("GNU.sparse.numbytes", "0");
  const std::string v01 = pax_record("GNU.sparse.size", "100") + pax_record("GNU.sparse.name", "real") +
                          pax_record("GNU.sparse.map", "10,3,50,4,100,0");
  for (const std::size_t step : {1UL, SIZE_MAX}) {
    EXPECT_EQ(read_all(extended('x', v00) + member, step)->at(0).content, expected);
    const auto members = *read_all(extended('x', v01) + member, step);
    EXPECT_EQ(members[0].content, expected);
    EXPECT_EQ(members[0].entry.path, "real");
    EXPECT_EQ(members[1].entry.path, "next");
  }
}

TEST(TarReader, PaxSparse10) {
  std::string map = "2\n10\n3\n50\n4\n";
  map.resize(512, '\0');
  const std::string records = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                              pax_record("GNU.sparse.name", "real") + pax_record("GNU.sparse.realsize", "100");
  const std::string bytes =
      extended('x', records) +
      Archive().raw(RawHeader('0', "stored", 519).block(), map + "aaabbbb").file("next", "").done();
  for (const std::size_t step : {1UL, 100UL, SIZE_MAX}) {
    const auto members = *read_all(bytes, step);
    EXPECT_EQ(members[0].entry.path, "real");
    EXPECT_EQ(members[0].content, sparse_content(100, {{10, "aaa"}, {50, "bbbb"}}));
    EXPECT_EQ(members[1].entry.path, "next");
  }
}

TEST(TarReader, GnuSparseWithMoreBlocks) {
  RawHeader header('S', "f", 6);
  std::string pairs, more;
  for (int i = 0; i < 4; ++i) pairs += fmt::format("{:011o}", i * 10) + '\0' + fmt::format("{:011o}", 1) + '\0';
  for (int i = 4; i < 6; ++i) more += fmt::format("{:011o}", i * 10) + '\0' + fmt::format("{:011o}", 1) + '\0';
  more.resize(512, '\0');
  header.put({257, 8}, std::string("ustar  \0", 8))
      .put(tar_field::kGnuSparse, pairs)
      .put(tar_field::kGnuExtended, "\1")
      .put(tar_field::kGnuRealSize, "00000000200");
  const std::string bytes =
      Archive().raw(header.block()).bytes(more).bytes("abcdef" + std::string(506, '\0')).file("next", "").done();
  for (const std::size_t step : {1UL, 700UL, SIZE_MAX}) {
    const auto members = *read_all(bytes, step);
    EXPECT_EQ(members[0].content,
              sparse_content(128, {{0, "a"}, {10, "b"}, {20, "c"}, {30, "d"}, {40, "e"}, {50, "f"}}));
    EXPECT_EQ(members[1].entry.path, "next");
  }
}

TEST(TarReader, BadSparseMapsAreRefused) {
  const auto with_map = [](std::string_view map, std::int64_t stored = 7) {
    return code_of(
        extended('x', pax_record("GNU.sparse.size", "100") + pax_record("GNU.sparse.map", map)) +
        Archive().raw(RawHeader('0', "f", stored).block(), std::string(static_cast<std::size_t>(stored), 'x')).done());
  };
  for (const char* map :
       {"10,3,5,4", "10,3,12,4", "10,3", "10,3,50", "10,3,97,4", "10,3,50,5", "x", "1,,2,3",
        "10,3,9223372036854775807,4", "0,9223372036854775807,9223372036854775807,9223372036854775807", "-1,7"})
    EXPECT_EQ(with_map(map), Code::kInvalidArgument) << map;
  const auto version = [](std::string_view major, std::string_view minor, std::string_view content) {
    return code_of(
        extended('x', pax_record("GNU.sparse.major", major) + pax_record("GNU.sparse.minor", minor) +
                          pax_record("GNU.sparse.realsize", "9")) +
        Archive().raw(RawHeader('0', "f", static_cast<std::int64_t>(content.size())).block(), content).done());
  };
  EXPECT_EQ(version("2", "0", ""), Code::kUnimplemented);
  EXPECT_EQ(version("1", "0", ""), Code::kInvalidArgument);
  EXPECT_EQ(version("1", "0", "no number here" + std::string(600, 'x')), Code::kInvalidArgument);
  EXPECT_EQ(version("1", "0", "999999999\n" + std::string(600, '\0')), Code::kOutOfRange);
  EXPECT_EQ(version("1", "0", "5\n1\n" + std::string(508, '\0')), Code::kInvalidArgument);
}

TEST(TarReader, EmptySparseBlocksDoNotGoOnForEver) {
  RawHeader header('S', "f");
  header.put({257, 8}, std::string("ustar  \0", 8)).put(tar_field::kGnuExtended, "\1");
  std::string more(512, '\0');
  more[504] = 1;
  EXPECT_EQ(code_of(Archive().raw(header.block()).bytes(more).bytes(more).done()), Code::kInvalidArgument);
}

}  // namespace
}  // namespace slipway::layer
