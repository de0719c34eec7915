#include "../../../nn/log/html_report.h"

#include <cmath>

#include "../../support.h"
#include "files.h"

using namespace sinter;

namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a report is one page with curves, tables, pictures and times, and is read back") {
  const test::LogDirectory directory("html");
  const std::string path = directory / "report.html";
  std::string expected;
  {
    nn::HtmlReport log(path, {.title = "A <run>", .classes = {"cat", "dog"}});
    for (int64_t step = 1; step <= 3; ++step) {
      log.scalar("train/loss", step, 1.0 / static_cast<double>(step));
      log.scalar("validation/loss", step, step == 2 ? NAN : 2);
      log.scalar("time/forward", step, 3);
      log.scalar("time/data", step, 1);
    }
    log.scalar("odd <&> \"name\"", 2, -1e-3);
    log.table("validation/confusion", 3, Tensor::from<int64_t>({2, 2}, {9, 1, 0, 10}));
    log.image("validation/picture_0", 3, Tensor::from<uint8_t>({1, 1, 1}, {255}), "dog taken for <cat>");
    log.text("run", 3, "3 epochs");
    log.flush();
    expected = test::content(path);
  }
  CHECK(expected.find("<title>A &lt;run&gt;</title>") != std::string::npos);
  CHECK(count(expected, "<svg") == 2);  // loss, and the odd one
  CHECK(count(expected, "<polyline") == 1);
  CHECK(count(expected, "<circle") == 3);  // points that are alone
  CHECK(expected.find("dog taken for &lt;cat&gt;") != std::string::npos);
  CHECK(expected.find("src=\"data:image/png;base64,iVBORw0KGgo") != std::string::npos);
  CHECK(expected.find("<th>cat</th><th>dog</th>") != std::string::npos);
  CHECK(expected.find("75.0 %") != std::string::npos);
  CHECK(expected.find("http") == std::string::npos);  // nothing from elsewhere
  // Tags are closed.
  for (const char* tag : {"div", "table", "tr", "td", "svg", "figure", "h2", "h3", "script", "p"}) {
    CAPTURE(tag);
    CHECK(count(expected, text("<", tag, ">")) + count(expected, text("<", tag, " ")) ==
          count(expected, text("</", tag, ">")));
  }
  nn::HtmlReport again(path, {.title = "A <run>"});
  again.resume(2);
  again.scalar("train/loss", 3, 0.125);
  again.flush();
  const std::string resumed = test::content(path);
  CHECK(resumed.find("\n1\t1\ttrain/loss\n2\t0.5\ttrain/loss\n3\t0.125\ttrain/loss\n") != std::string::npos);
  CHECK(resumed.find("\n2\t-0.001\todd &lt;&amp;&gt; &quot;name&quot;\n") != std::string::npos);
  CHECK(resumed.find("\n2\tnan\tvalidation/loss\n") != std::string::npos);
  CHECK(resumed.find("\n3\t2\tvalidation/loss\n") == std::string::npos);

  CHECK(resumed.find("data:image") == std::string::npos);  // was behind the step
  // What is shown stays where the run goes on behind it, whatever its names.
  const std::string odd = directory / "odd.html";
  {
    nn::HtmlReport log(odd);
    log.table("<b>\t--> &amp; \"x\"", 3, Tensor::from<int64_t>({2}, {1, 2}));
    log.image("p\xff", 3, Tensor::from<uint8_t>({1, 1, 1}, {255}), "<!--/-->\n<!--image\t1\tx-->");
    log.text("run\n", 4, "</script><script type=\"text/plain\" id=\"numbers\">\n");
    log.scalar("a</script>\n-->", 4, INFINITY);
    log.flush();
  }
  const std::string written = test::content(odd);
  CHECK(count(written, "<script") == 1);
  CHECK(written.find('\xff') == std::string::npos);
  nn::HtmlReport kept(odd);
  kept.resume(4);
  kept.flush();
  CHECK(test::content(odd) == written);
  kept.resume(3);
  kept.flush();
  CHECK(count(test::content(odd), "<!--text\t") == 0);
  CHECK(count(test::content(odd), "<!--image\t") == 1);
  CHECK(count(test::content(odd), "<!--table\t") == 1);

  nn::HtmlReport none(directory / "none.html");
  none.resume(3);  // nothing to go on from
  none.flush();
  test::append(directory / "other.html", "<html></html>");
  nn::HtmlReport other(directory / "other.html");
  CHECK_ERROR(other.resume(1), "is no report of a run");
}
