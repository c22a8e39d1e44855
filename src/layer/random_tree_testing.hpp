// For the tests of this folder: trees of everything a layer can hold, made from a seed.
#pragma once

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <random>
#include <string>
#include <vector>

#include "layer/archive_testing.hpp"

namespace slipway::layer::testing {

class RandomTree {
 public:
  RandomTree(std::string root, unsigned seed) : root_(std::move(root)), random_(seed) {}

  void make(int count) {
    std::vector<std::string> dirs = {""};
    std::vector<std::string> files;
    for (int i = 0; i < count; ++i) {
      const std::string path = dirs[pick(dirs.size())] + name(i);
      const std::string full = root_ + "/" + path;
      if (full.size() > 3500) continue;
      switch (pick(10)) {
        case 0:
        case 1:
        case 2:
          ASSERT_EQ(::mkdir(full.c_str(), 0700), 0);
          dirs.push_back(path + "/");
          break;
        case 3:
          ASSERT_EQ(::symlink(name(i).c_str(), full.c_str()), 0);
          break;
        case 4:
          ASSERT_EQ(::mkfifo(full.c_str(), 0600), 0);
          break;
        case 5:
          ASSERT_EQ(::mknod(full.c_str(), S_IFCHR | 0600, makedev(pick(4000) + 1, pick(70000))), 0);
          break;
        case 6:
          if (files.empty()) continue;
          ASSERT_EQ(::link((root_ + "/" + files[pick(files.size())]).c_str(), full.c_str()), 0);
          continue;  // the inode has its metadata
        default:
          ASSERT_TRUE(
              write_file(full, std::string(pick(5) == 0 ? pick(300'000) : pick(2000), static_cast<char>(pick(256)))));
          files.push_back(path);
      }
      decorate(full);
      times_.emplace_back(full, static_cast<time_t>(pick(2'000'000'000)));
    }
    for (const auto& [full, time] : times_) {
      const timespec both[2] = {{time, 0}, {time, 0}};
      ASSERT_EQ(::utimensat(AT_FDCWD, full.c_str(), both, AT_SYMLINK_NOFOLLOW), 0);
    }
  }

 private:
  std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }

  std::string name(int number) {
    const std::string unique = std::to_string(number);
    switch (pick(8)) {
      case 0:
        return unique + ".b";
      case 1:
        return unique + "-" + std::string(pick(200) + 1, 'n');
      case 2:
        return unique + "lat\xefn";
      case 3:
        return unique + " \u00fc \n";
      case 4:
        return "+" + unique;
      case 5:
        return unique + "\\*?";
      default:
        return unique;
    }
  }

  void decorate(const std::string& full) {
    const auto id = [&] { return static_cast<uid_t>(pick(3) == 0 ? 3'000'000 + pick(1000) : pick(1000)); };
    ASSERT_EQ(::lchown(full.c_str(), id(), id()), 0);
    struct stat info{};
    ASSERT_EQ(::lstat(full.c_str(), &info), 0);
    if (S_ISLNK(info.st_mode)) return;
    ASSERT_EQ(::chmod(full.c_str(), static_cast<mode_t>(pick(010000))), 0);
    if ((S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) && pick(4) == 0) {
      const std::string value(pick(400), static_cast<char>(pick(256)));
      ASSERT_EQ(::setxattr(full.c_str(), "user.test", value.data(), value.size(), 0), 0);
    }
  }

  std::string root_;
  std::mt19937 random_;
  std::vector<std::pair<std::string, time_t>> times_;
};

}  // namespace slipway::layer::testing
