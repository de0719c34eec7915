// Logs of lines: CSV, JSON lines, console; and several at once.
#include <cmath>
#include <cstdio>
#include <memory>

#include "../../../nn/log/console_log.h"
#include "../../../nn/log/csv_log.h"
#include "../../../nn/log/json_lines.h"
#include "../../support.h"
#include "files.h"

using namespace sinter;
using test::content;

TEST_CASE("CSV has a row for each step and a column for each name, also one that comes later") {
  const test::LogDirectory directory("csv");
  const std::string path = directory / "run.csv";
  {
    nn::CsvLog log(path);
    log.scalar("loss", 1, 0.5);
    log.scalar("lr", 1, 0.1);
    log.scalar("loss", 2, 0.25);
    CHECK(content(path) == "step,loss,lr\n1,0.5,0.1\n");
    log.scalar("a, \"b\"", 3, NAN);
    log.flush();
    CHECK(content(path) == "step,loss,lr,\"a, \"\"b\"\"\"\n1,0.5,0.1,\n2,0.25,,\n3,,,nan\n");
    log.scalar("loss", 4, 1);
  }  // what is left is written
  CHECK(content(path) == "step,loss,lr,\"a, \"\"b\"\"\"\n1,0.5,0.1,\n2,0.25,,\n3,,,nan\n4,1,,\n");
  test::append(path, "5,0.1");  // a line that was cut
  {
    nn::CsvLog log(path);
    log.resume(2);
    log.scalar("a, \"b\"", 3, 7);
    log.scalar("new", 3, 8);
  }
  CHECK(content(path) == "step,loss,lr,\"a, \"\"b\"\"\",new\n1,0.5,0.1,,\n2,0.25,,,\n3,,,7,8\n");
  {
    nn::CsvLog log(path);  // another run
    log.scalar("x", 1, 1);
  }
  CHECK(content(path) == "step,x\n1,1\n");
  {
    nn::CsvLog log(directory / "lines.csv");
    log.scalar("two\nlines", 1, INFINITY);
    log.scalar("two\nlines", 2, -INFINITY);
    log.flush();
    nn::CsvLog resumed(directory / "lines.csv");
    resumed.resume(1);
    resumed.scalar("two\nlines", 2, 3);
  }
  CHECK(content(directory / "lines.csv") == "step,two lines\n1,inf\n2,3\n");
  CHECK_ERROR(nn::CsvLog(path).scalar("step", 1, 1), "log: 'step' is the name of a row's step");
  nn::CsvLog nowhere(directory / "none/run.csv");
  nowhere.scalar("x", 1, 1);
  CHECK_ERROR(nowhere.flush(), "none/run.csv: cannot be written: No such file");
  test::append(directory / "other.csv", "name,value\n");
  nn::CsvLog other(directory / "other.csv");
  CHECK_ERROR(other.resume(1), "is no log of numbers");
}

TEST_CASE("JSON lines hold numbers by step, texts and tables") {
  const test::LogDirectory directory("json");
  const std::string path = directory / "run.jsonl";
  {
    nn::JsonLines log(path);
    log.scalar("train/loss", 1, 0.5);
    log.scalar("bad", 1, INFINITY);
    log.text("note", 1, "a \"b\"\n\\");
    log.scalar("x", 2, 1e-9);
    log.table("confusion", 2, Tensor::from<int64_t>({2, 2}, {1, 2, 3, 4}));
    log.table("iou", 3, Tensor::from({2}, {0.5, NAN}));
  }
  const std::string first =
      "{\"step\":1,\"train/loss\":0.5,\"bad\":null}\n{\"step\":1,\"text\":{\"note\":\"a \\\"b\\\"\\u000a\\\\\"}}\n";
  CHECK(content(path) == first +
                             "{\"step\":2,\"x\":1e-09}\n{\"step\":2,\"table\":{\"confusion\":[[1,2],[3,4]]}}\n"
                             "{\"step\":3,\"table\":{\"iou\":[0.5,null]}}\n");
  {
    nn::JsonLines log(directory / "bytes.jsonl");  // é, a byte that is none, a surrogate, a cut character
    log.text("\xc3\xa9", 1, "a\xff\x01 \xed\xa0\x80 \xe2\x82");
  }
  const std::string bad = "\xef\xbf\xbd";
  CHECK(content(directory / "bytes.jsonl") ==
        "{\"step\":1,\"text\":{\"\xc3\xa9\":\"a" + bad + "\\u0001 " + bad + bad + bad + " " + bad + bad + "\"}}\n");
  test::append(path, "{\"step\":4,\"cut");
  {
    nn::JsonLines log(path);
    log.resume(1);
    log.scalar("y", 2, 3);
  }
  CHECK(content(path) == first + "{\"step\":2,\"y\":3}\n");
}

TEST_CASE("the console shows the last numbers at a flush") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  {
    nn::ConsoleLog log(file.get());
    for (int i = 0; i < 50; ++i) log.scalar("loss", i, 1.0 / (1 + i));
    log.flush();
    log.text("run", 50, "done");
  }
  std::rewind(file.get());
  std::string all;
  for (int c = std::fgetc(file.get()); c != EOF; c = std::fgetc(file.get())) all += static_cast<char>(c);
  CHECK(all == "step 49  loss 0.02\nrun: done\n");
}

TEST_CASE("several logs are written at once, and one stays the user's") {
  const test::LogDirectory directory("several");
  const auto csv = std::make_shared<nn::CsvLog>(directory / "a.csv");
  nn::Logs logs{csv, nn::JsonLines(directory / "b.jsonl")};
  logs.scalar("x", 1, 2);
  csv->scalar("mine", 1, 3);
  logs.flush();
  CHECK(content(directory / "a.csv") == "step,x,mine\n1,2,3\n");
  CHECK(content(directory / "b.jsonl") == "{\"step\":1,\"x\":2}\n");
  CHECK(!logs.wants_histograms());
}
