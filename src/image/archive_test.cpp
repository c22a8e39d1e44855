// save, load, import: round trips, the shapes of archives that other programs write, and hostile ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "image/archive.hpp"
#include "image/image.hpp"
#include "image/proofs.hpp"
#include "layer/codec.hpp"
#include "layer/tar_writer.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

using layer::EntryType;

/// A tar, member by member.
class Tar {
 public:
  Tar& file(const std::string& path, const std::string& text) {
    EXPECT_TRUE(writer_.add({.path = path, .mode = 0644, .size = std::ssize(text)}));
    EXPECT_TRUE(writer_.write(text));
    return *this;
  }
  Tar& directory(const std::string& path) {
    EXPECT_TRUE(writer_.add({.type = EntryType::kDirectory, .path = path, .mode = 0755}));
    return *this;
  }
  Tar& link(const std::string& path, const std::string& target, EntryType type = EntryType::kSymlink) {
    EXPECT_TRUE(writer_.add({.type = type, .path = path, .mode = 0777, .link_target = target}));
    return *this;
  }
  Tar& fifo(const std::string& path) {
    EXPECT_TRUE(writer_.add({.type = EntryType::kFifo, .path = path, .mode = 0644}));
    return *this;
  }
  std::string bytes() {
    EXPECT_TRUE(writer_.finish());
    return bytes_;
  }

 private:
  std::string bytes_;
  layer::TarWriter writer_{[this](std::string_view more) -> Status {
    bytes_ += more;
    return {};
  }};
};

std::string compressed(const std::string& bytes, oci::Compression how = oci::Compression::kGzip) {
  std::string out;
  const auto encoder = layer::encoder(how, [&](std::string_view more) -> Status {
    out += more;
    return {};
  });
  EXPECT_TRUE(encoder->write(bytes));
  EXPECT_TRUE(encoder->finish());
  return out;
}

layer::Source source_of(const std::string& bytes, std::size_t chunk = 1 << 20) {
  auto at = std::make_shared<std::size_t>(0);
  return [&bytes, at, chunk](char* buffer, std::size_t size) -> Result<std::size_t> {
    const std::size_t count = std::min({size, chunk, bytes.size() - *at});
    std::copy_n(bytes.data() + *at, count, buffer);
    *at += count;
    return count;
  };
}

std::string digest_of(const std::string& bytes) { return oci::Digest::of(bytes).text(); }
std::string hex_of(const std::string& bytes) { return oci::Digest::of(bytes).hex(); }

/// Two layers and a config as foreign tools write it: field order and blanks that we would not write.
struct Sample {
  std::string lower = Tar().directory("etc").file("etc/os", "lower").bytes();
  std::string upper = Tar().file("app", "upper").bytes();
  std::string config = fmt::format(
      R"({{ "os": "linux", "architecture": "amd64", "created": "2023-11-14T00:00:00Z", "config": {{"Cmd": ["sh"]}},)"
      R"( "rootfs": {{"type": "layers", "diff_ids": ["{}", "{}"]}}, "custom": 1 }})",
      digest_of(lower), digest_of(upper));
  std::string config_path = hex_of(config) + ".json";
  std::string lower_path = std::string(64, 'a') + "/layer.tar";
  std::string upper_path = std::string(64, 'b') + "/layer.tar";
  [[nodiscard]] std::string manifest(const std::string& layers) const {
    return fmt::format(R"([{{"Config":"{}","RepoTags":["app:1","team/app:latest"],"Layers":[{}]}}])", config_path,
                       layers);
  }
  [[nodiscard]] std::string manifest() const { return manifest(fmt::format(R"("{}","{}")", lower_path, upper_path)); }
  /// docker-archive in the order of `docker save` 20.10.
  [[nodiscard]] std::string docker() const {
    return Tar()
        .directory(std::string(64, 'a'))
        .file(std::string(64, 'a') + "/VERSION", "1.0")
        .file(std::string(64, 'a') + "/json", "{}")
        .file(lower_path, lower)
        .file(upper_path, upper)
        .file(config_path, config)
        .file("manifest.json", manifest())
        .file("repositories", "{}")
        .bytes();
  }
  // --- OCI layout
  std::string oci_manifest = fmt::format(
      R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
      R"("config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[)"
      R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}},)"
      R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}})",
      digest_of(config), config.size(), digest_of(lower), lower.size(), digest_of(upper), upper.size());
  [[nodiscard]] std::string index(const std::string& annotations) const {
    return fmt::format(R"({{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
                       R"("digest":"{}","size":{},"annotations":{{{}}}}}]}})",
                       digest_of(oci_manifest), oci_manifest.size(), annotations);
  }
  [[nodiscard]] static std::string blob_path(const std::string& bytes) { return "blobs/sha256/" + hex_of(bytes); }
};

class ArchiveTest : public testing::Test {
 protected:
  sys::TempDir directory_ = sys::TempDir::make(testing::TempDir(), "archive").value();
  store::Store store_ = store::Store::open(directory_.path() + "/root", {}).value();
  store::Lease lease_ = store_.lease("test").value();
  Sample sample_;

  Result<std::vector<Loaded>> load_bytes(const std::string& bytes) {
    return load(store_, lease_, source_of(bytes), {});
  }
  Code error_of(const std::string& bytes, std::string_view part) {
    const auto loaded = load_bytes(bytes);
    EXPECT_FALSE(loaded);
    if (loaded) return Code::kInternal;
    EXPECT_TRUE(loaded.error().message().contains(part)) << loaded.error().message();
    return loaded.error().code();
  }
  /// As `slipway load` names what it has loaded.
  Holder named(const Loaded& loaded) {
    for (const auto& name : loaded.references)
      EXPECT_TRUE(store_.set_name("default", name, loaded.target, loaded.media_type, store::Durable::kNo, kOwnWord));
    return Holder(loaded.references);
  }
  Details details_of(const Loaded& loaded) {
    auto found = details(store_, named(loaded), loaded.target, loaded.media_type, oci::Platform::host());
    EXPECT_TRUE(found) << found.error().message();
    return *found;
  }
  std::string saved(const std::vector<SaveItem>& items, ArchiveKind kind = ArchiveKind::kBoth) {
    std::string out;
    const auto status = save(store_, items, kind,
                             [&](std::string_view bytes) -> Status {
                               out += bytes;
                               return {};
                             },
                             {});
    EXPECT_TRUE(status) << status.error().message();
    return out;
  }
};

// --- the shapes of archives

TEST_F(ArchiveTest, DockerArchiveKeepsConfigAndNames) {
  const auto loaded = load_bytes(sample_.docker());
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_EQ(loaded->size(), 1u);
  const auto& image = loaded->front();
  ASSERT_EQ(image.references.size(), 2u);
  EXPECT_EQ(image.references[0].familiar(), "app:1");
  EXPECT_EQ(image.references[1].familiar(), "team/app:latest");
  const auto found = details_of(image);
  EXPECT_EQ(found.config.raw(), sample_.config);  // to the byte
  ASSERT_EQ(found.manifest.layers().size(), 2u);
  EXPECT_EQ(found.manifest.layers()[0].digest.text(), digest_of(sample_.lower));  // plain layers stay plain
  EXPECT_EQ(found.manifest.family(), oci::Family::kDocker);
  EXPECT_EQ(found.size, std::ssize(sample_.lower) + std::ssize(sample_.upper));
}

TEST_F(ArchiveTest, AnyOrderAnyCompressionAnyChunks) {
  const std::string first = Tar()
                                .file("./manifest.json", sample_.manifest())
                                .file("./" + sample_.config_path, sample_.config)
                                .file("./" + sample_.upper_path, sample_.upper)
                                .file("./" + sample_.lower_path, sample_.lower)
                                .bytes();
  const auto target = load_bytes(sample_.docker()).value().front().target;
  for (const auto how : {oci::Compression::kNone, oci::Compression::kGzip, oci::Compression::kZstd}) {
    const std::string bytes = compressed(first, how);
    const auto loaded = load(store_, lease_, source_of(bytes, 777), {});
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->front().target, target);
  }
}

TEST_F(ArchiveTest, LayersBehindLinksAndSharedLayers) {
  // `docker save` of several images gives a layer once and links to it
  const std::string other = std::string(64, 'c') + "/layer.tar";
  const std::string bytes = Tar()
                                .link(other, "../" + sample_.lower_path)
                                .file(sample_.lower_path, sample_.lower)
                                .link("hard", sample_.upper_path, EntryType::kHardLink)
                                .file(sample_.upper_path, sample_.upper)
                                .file(sample_.config_path, sample_.config)
                                .file("manifest.json", sample_.manifest(fmt::format(R"("{}","hard")", other)))
                                .bytes();
  const auto loaded = load_bytes(bytes);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->front().target, load_bytes(sample_.docker()).value().front().target);
}

TEST_F(ArchiveTest, CompressedLayersAreCheckedAgainstTheConfig) {
  const auto archive = [&](const std::string& upper) {
    return Tar()
        .file(sample_.lower_path, compressed(sample_.lower))
        .file(sample_.upper_path, upper)
        .file(sample_.config_path, sample_.config)
        .file("manifest.json", sample_.manifest())
        .bytes();
  };
  const auto loaded = load_bytes(archive(compressed(sample_.upper, oci::Compression::kZstd)));
  ASSERT_TRUE(loaded) << loaded.error().message();
  const auto layers = details_of(loaded->front()).manifest.layers();
  EXPECT_EQ(layers[0].media_type, oci::media_type::kDockerLayerGzip);
  EXPECT_EQ(layers[1].media_type, oci::media_type::kOciLayerZstd);
  EXPECT_EQ(error_of(archive(compressed(sample_.lower)), "not what the config says"), Code::kDataLoss);
  EXPECT_EQ(error_of(archive(compressed(sample_.upper).substr(0, 40)), "while checking layer"), Code::kDataLoss);
}

TEST_F(ArchiveTest, OciLayout) {
  const auto archive = [&](const std::string& annotations) {
    return Tar()
        .directory("blobs")
        .directory("blobs/sha256")
        .file(Sample::blob_path(sample_.lower), sample_.lower)
        .file(Sample::blob_path(sample_.upper), sample_.upper)
        .file(Sample::blob_path(sample_.config), sample_.config)
        .file(Sample::blob_path(sample_.oci_manifest), sample_.oci_manifest)
        .file("index.json", sample_.index(annotations))
        .file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})")
        .bytes();
  };
  const auto name_of = [&](const std::string& annotations) -> std::string {
    const auto loaded = load_bytes(archive(annotations));
    EXPECT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->front().target.text(), digest_of(sample_.oci_manifest));
    EXPECT_EQ(loaded->front().media_type, oci::media_type::kOciManifest);
    return loaded->front().references.empty() ? "" : loaded->front().references[0].familiar();
  };
  EXPECT_EQ(name_of(R"("io.containerd.image.name":"docker.io/library/app:1","org.opencontainers.image.ref.name":"x")"),
            "app:1");
  EXPECT_EQ(name_of(R"("org.opencontainers.image.ref.name":"app:2")"), "app:2");
  EXPECT_EQ(name_of(R"("org.opencontainers.image.ref.name":"latest")"), "");  // a tag alone names nothing
  EXPECT_EQ(name_of(""), "");
}

TEST_F(ArchiveTest, CompressedLayersOfAnOciLayoutAreCheckedToo) {
  const auto archive = [&](const std::string& upper) {
    Sample sample;
    const std::string packed = compressed(upper);
    sample.oci_manifest = fmt::format(
        R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[)"
        R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}},)"
        R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":{}}}]}})",
        digest_of(sample.config), sample.config.size(), digest_of(sample.lower), sample.lower.size(), digest_of(packed),
        packed.size());
    return Tar()
        .file("index.json", sample.index(""))
        .file(Sample::blob_path(packed), packed)
        .file(Sample::blob_path(sample.lower), sample.lower)
        .file(Sample::blob_path(sample.config), sample.config)
        .file(Sample::blob_path(sample.oci_manifest), sample.oci_manifest)
        .bytes();
  };
  const auto loaded = load_bytes(archive(sample_.upper));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(details_of(loaded->front()).size, std::ssize(sample_.lower) + std::ssize(sample_.upper));
  EXPECT_EQ(error_of(archive("something else"), "not what the config says"), Code::kDataLoss);
}

TEST_F(ArchiveTest, BothDescriptionsInOne) {
  // docker from 25 on: the OCI side gives the bytes, manifest.json further names
  const std::string docker = fmt::format(R"([{{"Config":"{}","RepoTags":["app:1","app:extra"],"Layers":["{}","{}"]}}])",
                                         Sample::blob_path(sample_.config), Sample::blob_path(sample_.lower),
                                         Sample::blob_path(sample_.upper));
  const auto loaded = load_bytes(Tar()
                                     .file(Sample::blob_path(sample_.lower), sample_.lower)
                                     .file(Sample::blob_path(sample_.upper), sample_.upper)
                                     .file(Sample::blob_path(sample_.config), sample_.config)
                                     .file(Sample::blob_path(sample_.oci_manifest), sample_.oci_manifest)
                                     .file("manifest.json", docker)
                                     .file("index.json", sample_.index(R"("io.containerd.image.name":"app:1")"))
                                     .bytes());
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ(loaded->front().target.text(), digest_of(sample_.oci_manifest));
  EXPECT_EQ(loaded->front().references.size(), 2u);
}

// --- round trips

TEST_F(ArchiveTest, SaveAndLoadAreInverse) {
  const auto original = load_bytes(sample_.docker()).value().front();
  for (const auto kind : {ArchiveKind::kBoth, ArchiveKind::kOciOnly}) {
    const std::string bytes =
        saved({{original.references, original.target, original.media_type, named(original)}}, kind);
    EXPECT_EQ(bytes, saved({{original.references, original.target, original.media_type, named(original)}},
                           kind));  // deterministic
    auto other = store::Store::open(directory_.path() + fmt::format("/other{}", static_cast<int>(kind)), {}).value();
    const auto lease = other.lease("test").value();
    const auto loaded = load(other, lease, source_of(bytes), {});
    ASSERT_TRUE(loaded) << loaded.error().message();
    ASSERT_EQ(loaded->size(), 1u);
    EXPECT_EQ(loaded->front().target, original.target);
    EXPECT_EQ(loaded->front().media_type, original.media_type);
    EXPECT_EQ(loaded->front().references, original.references);
  }
}

TEST_F(ArchiveTest, SeveralImagesShareBlobs) {
  const auto one = load_bytes(sample_.docker()).value().front();
  const std::string rootfs = sample_.lower;
  const auto two = import_rootfs(store_, lease_, source_of(rootfs), oci::Platform::host(), {}).value();
  const auto name = oci::Reference::parse("base:1").value();
  const std::string bytes = saved({{one.references, one.target, one.media_type, named(one)},
                                   {{name}, two.target, two.media_type, Holder::maker()},
                                   {{}, one.target, one.media_type, Holder({})}});
  const auto loaded = load_bytes(bytes);
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_EQ(loaded->size(), 2u);
  EXPECT_EQ((*loaded)[1].references, std::vector{name});
}

TEST_F(ArchiveTest, SaveNeedsTheBlobs) {
  const auto one = load_bytes(sample_.docker()).value().front();
  ASSERT_EQ(::unlink((store_.root() + "/blobs/sha256/" + hex_of(sample_.upper)).c_str()), 0);
  const auto status = save(store_, {{{}, one.target, one.media_type, Holder({})}}, ArchiveKind::kBoth,
                           [](std::string_view) -> Status { return {}; }, {});
  ASSERT_FALSE(status);
}

TEST_F(ArchiveTest, SkopeoReadsWhatWeWrite) {
  const auto image = load_bytes(sample_.docker()).value().front();
  const std::string path = directory_.path() + "/saved.tar";
  ASSERT_TRUE(
      sys::replace_file(path, saved({{{image.references[0]}, image.target, image.media_type, named(image)}}), 0600));
  for (const std::string transport : {"docker-archive:", "oci-archive:"}) {
    const auto run = sys::run(
        {.argv = {"skopeo", "inspect", "--config", "--raw", transport + path},
         .environment = {"PATH=/usr/bin:/bin:/usr/sbin", "HOME=" + directory_.path(), "TMPDIR=" + directory_.path()}},
        "", Cancel(), 60'000);
    if (!run) GTEST_SKIP() << "no skopeo here: " << run.error().message();
    EXPECT_TRUE(run->status.ok()) << transport << ": " << run->err;
    EXPECT_EQ(run->out, sample_.config);
  }
}

// --- import

TEST_F(ArchiveTest, ImportTellsArchivesFromRootFileSystems) {
  const auto platform = oci::Platform::host();
  const std::string docker = sample_.docker();
  const auto saved_image = import_any(store_, lease_, source_of(docker), platform, {});
  ASSERT_TRUE(saved_image) << saved_image.error().message();
  EXPECT_EQ(details_of(saved_image->front()).config.raw(), sample_.config);

  const std::string rootfs =
      Tar().directory("./").directory("./blobs").link("./bin", "usr/bin").file("./manifest.json", "x").bytes();
  const auto imported = import_any(store_, lease_, source_of(rootfs, 100), platform, {});
  ASSERT_TRUE(imported) << imported.error().message();
  const auto found = details_of(imported->front());
  EXPECT_EQ(found.config.view().diff_ids, std::vector{oci::DiffId{oci::Digest::of(rootfs)}});
  EXPECT_EQ(found.config.view().platform, platform);
  EXPECT_EQ(found.manifest.layers()[0].media_type, oci::media_type::kOciLayerGzip);
  EXPECT_EQ(found.size, 1);  // the bytes of its files
  EXPECT_TRUE(imported->front().references.empty());
}

TEST_F(ArchiveTest, ImportKeepsCompressedBytes) {
  const std::string rootfs = Tar().link("bin", "usr/bin").bytes();
  for (const auto how : {oci::Compression::kGzip, oci::Compression::kZstd}) {
    const std::string bytes = compressed(rootfs, how);
    const auto imported = import_any(store_, lease_, source_of(bytes), oci::Platform::host(), {});
    ASSERT_TRUE(imported) << imported.error().message();
    const auto found = details_of(imported->front());
    EXPECT_EQ(found.manifest.layers()[0].digest, oci::Digest::of(bytes));
    EXPECT_EQ(found.manifest.layers()[0].media_type, oci::media_type::layer(oci::Family::kOci, how));
    EXPECT_EQ(found.config.view().diff_ids[0].digest, oci::Digest::of(rootfs));
  }
}

TEST_F(ArchiveTest, ImportRefusesWhatIsNoTar) {
  for (const std::string& bytes :
       {std::string(), std::string(5000, 'x'), compressed("hello"), sample_.lower.substr(0, 700)}) {
    const auto imported = import_any(store_, lease_, source_of(bytes), oci::Platform::host(), {});
    EXPECT_FALSE(imported);
  }
}

// --- hostile archives

TEST_F(ArchiveTest, RefusesADuplicate) {
  EXPECT_EQ(error_of(Tar().file("manifest.json", "[]").file("./manifest.json", "[]").bytes(), "twice"),
            Code::kInvalidArgument);
  EXPECT_EQ(error_of(Tar().file("a", "1").link("a", "b").bytes(), "twice"), Code::kInvalidArgument);
}

TEST_F(ArchiveTest, RefusesBytesThatAreNotWhatTheirNameClaims) {
  EXPECT_EQ(error_of(Tar().file(Sample::blob_path("x"), "y").bytes(), "while reading the archive's member"),
            Code::kDataLoss);
  EXPECT_FALSE(load_bytes(Tar().file("blobs/sha256/../../etc/passwd", "y").bytes()));
  EXPECT_FALSE(load_bytes(Tar().file("blobs/sha256/xyz", "y").bytes()));
  EXPECT_EQ(error_of(Tar().file("blobs/sha512/xyz", "y").bytes(), "only sha256"), Code::kUnimplemented);
  const std::string wrong = hex_of("other") + ".json";
  EXPECT_EQ(error_of(Tar()
                         .file(wrong, sample_.config)
                         .file("manifest.json", fmt::format(R"([{{"Config":"{}","Layers":[]}}])", wrong))
                         .bytes(),
                     "has the digest"),
            Code::kDataLoss);
}

TEST_F(ArchiveTest, RefusesLayersThatAreNotTheConfigs) {
  const auto archive = [&](const std::string& layers) {
    return Tar()
        .file(sample_.lower_path, sample_.lower)
        .file(sample_.upper_path, sample_.upper)
        .file(sample_.config_path, sample_.config)
        .link("loop", "loop2")
        .link("loop2", "loop")
        .file("manifest.json", sample_.manifest(layers))
        .bytes();
  };
  const std::string lower = fmt::format("\"{}\"", sample_.lower_path),
                    upper = fmt::format("\"{}\"", sample_.upper_path);
  EXPECT_EQ(error_of(archive(upper + "," + lower), "not what the config says"), Code::kDataLoss);
  EXPECT_EQ(error_of(archive(lower), "1 layers and its config 2"), Code::kDataLoss);
  EXPECT_EQ(error_of(archive(lower + ",\"missing\""), "lacks \"missing\""), Code::kNotFound);
  EXPECT_EQ(error_of(archive(lower + ",\"loop\""), "in circles"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(archive(lower + ",\"../../etc/passwd\""), "leaves the archive"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(archive(lower + ",1"), "manifest.json"), Code::kInvalidArgument);
}

TEST_F(ArchiveTest, RefusesAnIndexThatNamesWhatIsNotThere) {
  const auto tar = [&](bool upper) {
    Tar made;
    made.file(Sample::blob_path(sample_.lower), sample_.lower).file(Sample::blob_path(sample_.config), sample_.config);
    made.file(Sample::blob_path(sample_.oci_manifest), sample_.oci_manifest);
    if (upper) made.file(Sample::blob_path(sample_.upper), sample_.upper);
    return made.file("index.json", sample_.index("")).bytes();
  };
  EXPECT_TRUE(load_bytes(tar(true)));
  EXPECT_EQ(error_of(tar(false), "lacks blob"), Code::kNotFound);  // although the store has it by now
  EXPECT_EQ(error_of(Tar().file("index.json", sample_.index("")).bytes(), "lacks blob"), Code::kNotFound);
}

TEST_F(ArchiveTest, RefusesWhatIsNoFile) {
  EXPECT_EQ(error_of(Tar().fifo("x").bytes(), "is no file"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(Tar().file("../x", "y").bytes(), "leaves the archive"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(Tar().file("x", "y").bytes(), "holds no image"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(Tar().file("manifest.json", "[]").bytes(), "list is empty"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(Tar().file("manifest.json", "{}").bytes(), "is no list"), Code::kInvalidArgument);
  EXPECT_EQ(error_of(Tar().file("manifest.json", std::string(9 << 20, ' ')).bytes(), "at most"), Code::kOutOfRange);
  EXPECT_EQ(error_of(Tar()
                         .file(sample_.config_path, sample_.config)
                         .file(sample_.lower_path, sample_.lower)
                         .file(sample_.upper_path, sample_.upper)
                         .file("manifest.json",
                               fmt::format(R"([{{"Config":"{}","RepoTags":["NO GOOD"],"Layers":["{}","{}"]}}])",
                                           sample_.config_path, sample_.lower_path, sample_.upper_path))
                         .bytes(),
                     "manifest.json"),
            Code::kInvalidArgument);
}

TEST_F(ArchiveTest, EveryTruncationIsAnError) {
  const std::string whole = sample_.docker();
  // behind manifest.json comes only what nobody reads: readers forgive a missing end there
  const std::size_t needed = whole.find("repositories");
  for (std::size_t size = 0; size < needed; size += 256) {
    const std::string part = whole.substr(0, size);
    EXPECT_FALSE(load_bytes(part)) << size;
  }
}

TEST_F(ArchiveTest, StopsWhenCancelled) {
  CancelSource stop;
  stop.fire("enough");
  const std::string bytes = sample_.docker();
  const auto loaded = load(store_, lease_, source_of(bytes), stop.cancel());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code(), Code::kCancelled);
}

TEST(ArchivePath, Keys) {
  EXPECT_EQ(member_key("./a//b/").value(), "a/b");
  EXPECT_EQ(member_key("/a").value(), "a");
  EXPECT_FALSE(member_key("a/../b"));
  const std::string hex(64, 'a');
  for (const auto& path : {"manifest.json", "index.json", "oci-layout", "repositories"})
    EXPECT_TRUE(is_archive_path(path));
  for (const auto& path : {"blobs/sha256/" + hex, hex + "/layer.tar", hex + "/VERSION", hex + ".json", hex + ".tar",
                           hex + ".tar.gz", "sha256:" + hex})
    EXPECT_TRUE(is_archive_path(path)) << path;
  for (const char* path : {"bin", "etc/passwd", "usr/manifest.json", "blobs/x", "layer.tar"})
    EXPECT_FALSE(is_archive_path(path)) << path;
}

}  // namespace
}  // namespace slipway::image
