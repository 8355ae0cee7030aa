"""The labelling page as people use it: a real browser, the real server, files as the result."""

import contextlib
import re

import numpy as np
import pytest
from browser import TABLE, Person, Server, full, labels, launch, mask, open_round, points
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from jax_labor.classes import ClassTable
from jax_labor.labels.store import Query

SKY, ROAD, TREE, CAR = range(4)
VOID = 255
SMALL = {"width": 1024, "height": 640}
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, tmp_path):
    """Opens a round of queries: visit(queries) -> (round, server, person(name) -> Person)."""
    with contextlib.ExitStack() as stack:
        people = []

        def begin(queries, table=TABLE, **options):
            round_ = open_round(tmp_path, queries, table)
            server = Server(tmp_path, **options)
            stack.callback(server.kill)

            def person(name="Ada", **context):
                people.append(Person(chromium, server.url, name, **context))
                stack.callback(people[-1].context.close)
                return people[-1]

            return round_, server, person

        yield begin
        for one in people:
            assert one.complaints == []


def test_points_from_the_keyboard(visit):
    first = points("a", (5, 5), (20, 30), (39, 59), (0, 0), (7, 8))
    round_, _, person = visit([first, points("b", (1, 2), (3, 4))])
    ada = person()
    ada.sees("Point 1 of 5")
    ada.press("1")
    ada.sees("Point 2 of 5")
    ada.press("Enter", "u", "s", "Control+z", "Control+z")
    ada.sees("Point 3 of 5")
    ada.press("4", "g", "4", "Enter", "4")  # with suggestions hidden, Enter takes none
    ada.sees("Point 1 of 2")
    ada.press("ArrowRight", "2")
    ada.sees("Point 1 of 2")
    ada.press("3")
    ada.sees("All done, thank you", "#end")
    ada.sees("All answers are saved. If there is another round, it opens here", "#end")
    ada.saved()

    answer = labels(round_, "a")
    expected = np.full((40, 60), VOID)
    expected[5, 5], expected[20, 30], expected[39, 59] = SKY, TREE, CAR
    expected[0, 0], expected[7, 8] = CAR, CAR
    np.testing.assert_array_equal(answer, expected)
    assert labels(round_, "b")[1, 2] == TREE
    assert labels(round_, "b")[3, 4] == ROAD
    facts = round_.answer_facts("a")
    items = {item["item"]: item for item in facts["items"]}
    assert facts["annotator"] == "Ada"
    assert facts["keys"] >= 10
    assert [items[i]["accepted"] for i in range(5)] == [False, True, False, False, False]
    assert [items[i]["shown"] for i in range(5)] == [True, True, True, False, False]


def test_undo_after_the_last_answer_takes_the_image_up_again(visit):
    round_, _, person = visit([points("a", (1, 1)), points("b", (2, 2), (3, 3)), full("c")])
    ada = person()
    image, items = (ada.page.locator(where) for where in ("#image", "#items"))
    ada.sees("Point 1 of 1")
    ada.press("1")
    expect(image).to_have_text("b")
    ada.press("Control+z")
    expect(image).to_have_text("a")
    ada.sees("Point 1 of 1")
    ada.press("2")
    expect(image).to_have_text("b")
    ada.press("4", "Shift+S", "Enter")
    expect(image).to_have_text("c")
    ada.press("Control+z")  # takes no answer back: none of them ended the image
    expect(image).to_have_text("b")
    expect(items).to_have_text("1 / 2")
    ada.press("3")
    expect(image).to_have_text("c")
    ada.drag((10, 40), (80, 40))
    expect(items).not_to_have_text("0 % labelled")
    ada.press("Control+Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    ada.press("Control+z")
    expect(image).to_have_text("c")
    expect(items).not_to_have_text("0 % labelled")
    ada.press("Control+Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    assert labels(round_, "a")[1, 1] == ROAD
    assert labels(round_, "b")[[2, 3], [2, 3]].tolist() == [CAR, TREE]
    assert labels(round_, "c")[40, 40] != VOID


def test_segments_from_keyboard_and_mouse(visit):
    large = [(2, 2, 30, 40, ROAD), (40, 2, 60, 30, SKY), (40, 40, 58, 60, TREE)]
    query = mask("a", *large, (2, 60, 12, 70, CAR), (20, 80, 28, 88, CAR))
    query.guess[2:30, 21:40] = TREE  # the model sees two classes in the first piece
    round_, _, person = visit([query])
    ada = person()

    ada.sees("Piece 1 of 5")
    ada.press("x")
    ada.drag((0, 16), (60, 16))  # cut into an upper and a lower half
    ada.sees("part 1 of 2")
    ada.press("1", "Control+z")
    ada.sees("part 1 of 2")
    ada.press("2", "4")
    ada.sees("Piece 2 of 5")

    ada.press("b", "1")
    for _ in range(8):
        ada.press("[")
    ada.drag((-20, 50), (90, 50))  # over the piece's ends: only the piece is painted
    ada.page.get_by_text("Fill the rest").click()
    ada.press("p", "4")
    for place in ((10, 42), (20, 42), (20, 47), (10, 47)):
        ada.click(*place)
    ada.press("Enter", "Enter")

    ada.sees("Piece 3 of 5")
    ada.press("x", "x")
    ada.sees("Piece 3 of 5")  # one class by the model's guess: nothing to split
    ada.press("Escape", "u")
    ada.sees("Piece 4 of 5")
    ada.press("Shift+Enter")
    ada.page.get_by_text("Take them").click()
    ada.sees("All done, thank you", "#end")

    expected = np.full((64, 96), VOID)
    expected[2:16, 2:40], expected[16:30, 2:40] = ROAD, CAR
    expected[40:60, 2:30], expected[42:47, 10:20] = SKY, CAR
    expected[2:12, 60:70] = expected[20:28, 80:88] = CAR
    np.testing.assert_array_equal(labels(round_, "a"), expected)
    items = {item["item"]: item for item in round_.answer_facts("a")["items"]}
    assert items[4]["accepted"] and items[5]["accepted"]
    assert not items[1]["accepted"]


def test_a_stroke_in_hand_belongs_to_the_piece_it_was_begun_on(visit):
    query = mask("a", (2, 2, 30, 40, ROAD), (40, 2, 60, 30, SKY))
    round_, _, person = visit([query])
    ada = person()
    mouse = ada.page.mouse
    ada.sees("Piece 1 of 2")
    ada.press("b", "3")
    mouse.move(*ada.place(10, 20))
    mouse.down()
    mouse.move(*ada.place(30, 20), steps=4)
    ada.press("Enter")  # the mouse is still down
    ada.sees("Piece 2 of 2")
    expect(ada.page.locator("#items")).to_have_text("1 / 2")
    mouse.move(*ada.place(12, 50), steps=3)
    mouse.up()
    expect(ada.page.locator("#items")).to_have_text("1 / 2")
    ada.press("b", "4")
    mouse.move(*ada.place(10, 50))
    mouse.down()
    mouse.move(*ada.place(20, 50), steps=4)
    ada.press("Control+Enter", "Enter")  # ends the image, though pixels have no class
    ada.sees("All done, thank you", "#end")
    mouse.up()
    answer = labels(round_, "a")
    assert set(np.unique(answer[2:30, 2:40])) == {TREE, VOID}
    assert set(np.unique(answer[40:60, 2:30])) == {CAR, VOID}
    assert [item["action"] for item in round_.answer_facts("a")["items"]] == ["patch", "patch"]


def test_split_by_the_models_guess(visit):
    query = mask("a", (2, 2, 30, 40, ROAD), (40, 2, 60, 30, SKY))
    query.guess[2:30, 31:40] = TREE
    round_, _, person = visit([query])
    ada = person()
    ada.sees("Piece 1 of 2")
    ada.press("x", "x")
    ada.sees("part 1 of 2")
    ada.press("Enter")
    ada.sees("part 2 of 2")
    ada.press("ArrowRight", "Enter")  # leaves the second part
    ada.sees("Pixels of 1 piece have no class yet", "#confirm")
    ada.page.get_by_text("Not yet").click()
    ada.sees("Piece 1 of 2")
    ada.press("x", "x", "Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "a"), query.guess)


def test_a_full_mask_with_every_tool(visit):
    guess = np.full((64, 96), VOID, np.uint8)
    guess[:20] = SKY
    round_, _, person = visit([full("a", guess), full("b"), mask("c", (2, 2, 12, 12, SKY))])
    ada = person()
    expect(ada.page.locator("#image")).to_have_text("a")
    ada.press("2", "b")
    ada.drag((10, 40), (80, 40))
    ada.press("p", "4")
    for place in ((50, 50), (70, 50), (70, 60), (50, 60), (50, 50)):  # the last one closes it
        ada.click(*place)
    ada.press("e")
    ada.drag((20, 35), (20, 45))
    ada.press("Control+z", "Control+z", "Control+Shift+z", "Enter")
    ada.press("3", "f")
    ada.click(2, 62)
    ada.press("i")
    ada.click(60, 55)
    expect(ada.page.locator("#question strong")).to_have_text("car")
    ada.press("Control+Enter")
    expect(ada.page.locator("#image")).to_have_text("b")
    answer = labels(round_, "a")
    assert set(np.unique(answer)) == {SKY, ROAD, TREE, CAR}
    assert (answer[:20] == SKY).all()  # the suggestion, in what was not labelled
    assert (answer[50:60, 50:70] == CAR).all() and (answer == CAR).sum() == 200
    assert (answer[40, 10:80] == ROAD).all() and answer[40, 95] == TREE

    ada.press("c")  # from the previous image
    expect(ada.page.locator("#items")).to_have_text("100 % labelled")
    drawn = ada.page.evaluate_handle(
        """() => {
          const { prototype } = OffscreenCanvasRenderingContext2D;
          const { putImageData } = prototype;
          const drawn = { times: 0 };
          prototype.putImageData = function (...given) {
            drawn.times += 1;
            putImageData.apply(this, given);
          };
          return drawn;
        }"""
    )
    ada.press("x", "x")
    assert drawn.json_value() == {"times": 2}  # not once for each class
    ada.press("k", "g", "v", "Control+Enter")
    ada.sees("Piece 1 of 1")
    ada.press("b")  # "Keep labelled" is of full masks
    for color in "32":
        ada.press(color)
        ada.drag((0, 7), (14, 7))
    ada.press("Enter")
    ada.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "b"), answer)
    assert (labels(round_, "c")[2:12, 2:12] == ROAD).all()


def test_labels_that_are_copied_too_late_go_nowhere(visit):
    round_, _, person = visit([full(name) for name in "abc"])
    ada, held = person(), []
    ada.page.route("**/images/a/label", lambda route: held.append(route))
    expect(ada.page.locator("#image")).to_have_text("a")
    ada.drag((10, 40), (40, 40))
    ada.press("Control+Enter", "Enter")
    expect(ada.page.locator("#image")).to_have_text("b")
    with ada.page.expect_request("**/images/a/label"):
        ada.press("c")
    ada.press("s", "Enter")
    expect(ada.page.locator("#image")).to_have_text("c")
    with ada.page.expect_response("**/images/a/label"):
        held[0].continue_()
    ada.page.wait_for_timeout(500)
    expect(ada.page.locator("#items")).to_have_text("0 % labelled")
    ada.press("c")
    ada.sees("The previous image has no labels", "body")  # it was skipped
    ada.drag((10, 20), (40, 20))
    ada.press("Control+Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    assert (labels(round_, "b") == VOID).all()
    assert (labels(round_, "c")[36:] == VOID).all()


def test_an_unlabelled_rest_is_pointed_out(visit):
    round_, _, person = visit([full("a")])
    ada = person()
    expect(ada.page.locator("#image")).to_have_text("a")
    ada.press("Control+Enter")
    ada.sees("Nothing is labelled yet", "body")
    ada.drag((10, 40), (40, 40))
    ada.press("p")
    for place in ((50, 10), (60, 10), (60, 20)):
        ada.click(*place)
    ada.press("Control+Enter")
    ada.sees("The polygon is not closed", "body")
    ada.press("Escape", "Control+Enter")
    ada.sees("has no class yet", "#confirm")
    ada.press("Enter")
    ada.sees("All done, thank you", "#end")
    assert 0 < (labels(round_, "a") == SKY).sum() < 64 * 96


def test_reload_in_the_middle_keeps_answers_and_place(visit):
    round_, _, person = visit(
        [mask("a", (2, 2, 30, 40, ROAD), (40, 2, 60, 30, SKY), (2, 60, 9, 70, CAR))]
    )
    ada = person()
    ada.sees("Piece 1 of 3")
    ada.press("4")
    ada.sees("Piece 2 of 3")
    ada.press("b", "3")
    ada.drag((4, 45), (20, 45))
    ada.page.reload()
    ada.sees("Piece 2 of 3")
    ada.sees("answered: painted")
    expect(ada.page.locator("#items")).to_have_text("2 / 3")
    ada.press("Control+z", "2", "Enter")
    ada.sees("All done, thank you", "#end")
    answer = labels(round_, "a")
    assert (answer[2:30, 2:40] == CAR).all() and (answer[40:60, 2:30] == ROAD).all()
    assert (answer == TREE).sum() == 0


def test_server_killed_and_started_again(visit):
    round_, server, person = visit(
        [points("a", *((i, 2 * i) for i in range(8))), points("b", (3, 3))]
    )
    ada = person()
    ada.sees("Point 1 of 8")
    ada.press("1", "2")
    ada.saved()
    server.kill()
    ada.press("3", "4", "1")
    ada.sees("3 answers waiting: offline", "#bar")
    ada.sees("Point 6 of 8")
    server.start()
    ada.saved()
    ada.press("2", "3", "4")
    expect(ada.page.locator("#image")).to_have_text("b")
    given = labels(round_, "a")[np.arange(8), 2 * np.arange(8)]
    np.testing.assert_array_equal(given, [0, 1, 2, 3, 0, 1, 2, 3])


def test_two_people_get_different_images(visit):
    round_, _, person = visit([points("a", (1, 1), (2, 2)), points("b", (1, 1), (2, 2))])
    ada, bob = person("Ada"), person("Bob")
    ada.sees("Point 1 of 2")
    bob.sees("Point 1 of 2")
    names = {one.page.locator("#image").text_content() for one in (ada, bob)}
    assert names == {"a", "b"}
    ada.press("1")
    bob.press("2", "2")
    ada.press("1")
    for one in (ada, bob):
        one.sees("All done, thank you", "#end")
    by = {round_.answer_facts(name)["annotator"]: labels(round_, name)[1, 1] for name in "ab"}
    assert by == {"Ada": SKY, "Bob": ROAD}


def test_answers_wait_while_offline(visit):
    round_, server, person = visit([points("a", (1, 1), (2, 2), (3, 3))])
    ada = person()
    ada.sees("Point 1 of 3")
    storage = {"origin": server.url.partition("/#")[0], "storageTypes": "indexeddb"}
    chromium = ada.context.new_cdp_session(ada.page)
    chromium.send("Storage.clearDataForOrigin", storage)  # as it does when room runs short
    ada.context.set_offline(True)
    ada.press("1", "2", "4")
    ada.sees("waiting: offline", "#bar")
    ada.sees("keeps no data", "#banner")
    ada.context.set_offline(False)
    ada.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "a")[[1, 2, 3], [1, 2, 3]], [SKY, ROAD, CAR])


def test_replies_that_break_off_are_asked_for_again_and_slow_ones_are_waited_for(visit):
    round_, _, person = visit([points("a", (1, 1), (2, 2)), points("b", (3, 3))])
    ada = person()
    ada.sees("Point 1 of 2")
    ada.page.evaluate(
        """() => {
          const { fetch, setTimeout } = window;
          window.setTimeout = (run, ms) => setTimeout(run, ms / 60); // a minute lasts a second
          const parts = {
            breaks: (bytes, to) => to.error(new TypeError("network error")),
            short: (bytes, to) => (to.enqueue(bytes.slice(0, 5)), to.close()),
            silent: () => null,
            slow: async (bytes, to) => {
              for (let i = 0; i < 12; i++) {
                await new Promise((go) => setTimeout(go, 100));
                to.enqueue(bytes.slice((i * bytes.length) / 12, ((i + 1) * bytes.length) / 12));
              }
              to.close();
            },
          };
          window.asked = [];
          window.ways = {
            "/api/answers": ["breaks"], "/api/finish": ["breaks"], "/api/round": ["silent"],
            "/api/claim": ["breaks", "short"], "/api/rounds/1/images/b/photo": ["slow"],
          };
          window.fetch = async (path, options) => {
            asked.push(path);
            const reply = await fetch(path, options);
            const way = ways[path]?.shift();
            if (!way) return reply;
            const bytes = new Uint8Array(await reply.arrayBuffer());
            const start = (to) => {
              options.signal.onabort = () => to.error(options.signal.reason);
              parts[way](bytes, to);
            };
            return new Response(new ReadableStream({ start }), reply);
          };
        }"""
    )
    ada.press("1")
    ada.saved()
    ada.press("2")
    expect(ada.page.locator("#image")).to_have_text("b")
    ada.press("4")
    ada.sees("All done, thank you", "#end")
    assert ada.page.evaluate("Object.values(ways).flat()") == []
    assert ada.page.evaluate("asked.filter((path) => path.endsWith('b/photo')).length") == 1
    np.testing.assert_array_equal(labels(round_, "a")[[1, 2], [1, 2]], [SKY, ROAD])


def test_unsent_answers_outlive_a_reload(visit):
    round_, server, person = visit([points("a", (1, 1), (2, 2), (3, 3))])
    ada = person()
    ada.sees("Point 1 of 3")
    server.kill()
    ada.press("1", "2")
    ada.sees("2 answers waiting: offline", "#bar")
    server.start()
    ada.page.reload(wait_until="commit")
    ada.sees("Point 3 of 3")
    ada.press("4")
    ada.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "a")[[1, 2, 3], [1, 2, 3]], [SKY, ROAD, CAR])


def test_a_full_disk_is_told_and_the_answer_stays(visit):
    round_, _, person = visit([points("a", (1, 1), (2, 2)), points("b", (3, 3))])
    ada = person()
    ada.sees("Point 1 of 2")
    reply = {"status": 507, "json": {"error": "Nothing can be stored.", "reason": "disk_full"}}
    paths = re.compile("/api/(answers|claim)")
    ada.page.route(paths, lambda route: route.fulfill(**reply))
    ada.page.wait_for_timeout(500)  # on a busy machine the browser intercepts a little later
    ada.press("1")
    ada.sees("Nothing can be stored.", "#banner")
    ada.sees("1 answer waiting: the server's disk is full", "#bar")
    ada.page.unroute(paths)
    ada.saved()
    ada.page.route("**/api/claim", lambda route: route.fulfill(**reply))
    ada.page.wait_for_timeout(500)
    ada.press("2")
    ada.sees("Nothing can be stored.", "#banner")
    ada.sees("the server's disk is full", "#bar")
    ada.page.unroute("**/api/claim")
    expect(ada.page.locator("#image")).to_have_text("b")
    expect(ada.page.locator("#banner")).to_be_hidden()
    ada.press("3")
    ada.sees("All done, thank you", "#end")
    assert labels(round_, "a")[[1, 2], [1, 2]].tolist() == [SKY, ROAD]
    assert all("507" in complaint for complaint in ada.complaints)
    ada.complaints.clear()


def test_what_the_server_stumbles_over_is_told(visit):
    round_, _, person = visit([points("a", (1, 1)), points("b", (2, 2))])
    ada = person()
    ada.sees("Point 1 of 1")
    path = round_.folder / "answers" / "a.json"
    path.parent.mkdir()
    path.write_text('{"status": "answ')  # another tool is writing it
    ada.press("2")
    ada.sees("a.json is missing or not readable JSON", "#banner")
    path.unlink()
    expect(ada.page.locator("#image")).to_have_text("b")
    expect(ada.page.locator("#banner")).to_be_hidden()
    assert labels(round_, "a")[1, 1] == ROAD
    assert all("500" in complaint for complaint in ada.complaints)
    ada.complaints.clear()


def test_a_bug_in_the_server_lets_the_other_images_go_on(visit):
    round_, server, person = visit([points("a", (1, 1), (2, 2)), points("b", (2, 2))])
    ada, tries = person(), []
    ada.sees("Point 1 of 2")
    bug = {"status": 500, "json": {"error": "Something went wrong.", "reason": "bug"}}

    def stumble(route):
        tries.append(route)
        if len(tries) != 5:
            route.fulfill(**bug)

    ada.page.route("**/api/answers", stumble)
    ada.page.wait_for_timeout(500)  # on a busy machine the browser intercepts a little later
    ada.press("2")
    for _ in range(100):  # the fifth try is on its way when they are kept
        if len(tries) > 4:
            break
        ada.page.evaluate("dispatchEvent(new Event('online'))")
        ada.page.wait_for_timeout(50)
    ada.press("4")
    ada.page.get_by_text("Keep these answers for later and go on").click()
    expect(ada.page.locator("#image")).to_have_text("b")
    tries[4].continue_()  # the claim is gone by now
    ada.page.unroute("**/api/answers")
    expect(ada.page.locator("#banner")).to_be_hidden()
    ada.sees("saved, 3 kept for later", "#bar")
    ada.press("3")
    ada.sees("All done, thank you", "#end")
    ada.page.reload()
    ada.sees("saved, 3 kept for later", "#bar")  # until then the image is left out
    assert round_.answered() == ["b"]
    server.kill()
    server.start()  # with the bug mended
    ada.page.reload()
    ada.sees("All done, thank you", "#end")
    assert labels(round_, "a")[[1, 2], [1, 2]].tolist() == [ROAD, CAR]
    assert all("500" in complaint or "409" in complaint for complaint in ada.complaints)
    ada.complaints.clear()


def test_a_palette_answer_of_another_tool_in_review(visit):
    round_, _, person = visit([mask("a", (2, 2, 30, 40, ROAD))])
    answers = round_.folder / "answers"
    answers.mkdir()
    image = Image.fromarray(np.full((64, 96), TREE, np.uint8))
    image.putpalette([channel for color in TABLE.colors for channel in color])
    image.save(answers / "a.png")
    (answers / "a.json").write_text("{}")
    ada = person()
    ada.page.get_by_text("Review 1 image").click()
    ada.sees("tree")
    ada.press("Enter")
    ada.sees("All done, thank you", "#end")
    assert (labels(round_, "a")[2:30, 2:40] == TREE).all()


def test_an_image_given_away_is_told(visit):
    queries = [points("a", (1, 1), (2, 2), (3, 3)), points("b", (1, 1))]
    round_, _, person = visit(queries, claim_seconds=1)
    ada = person()
    ada.sees("Point 1 of 3")
    ada.press("1")
    ada.saved()
    ada.context.set_offline(True)  # no sign of life: the image goes to Bob
    bob = person("Bob")
    bob.sees("Point 1 of 1")
    bob.press("3")
    bob.sees("Point 2 of 3")  # with what Ada has said
    ada.press("4")
    ada.sees("waiting: offline", "#bar")
    ada.sees("time is not counted. The image may go to somebody else", "#banner")
    bob.press("4", "4")
    bob.sees("All done, thank you", "#end")
    ada.context.set_offline(False)
    ada.sees("no longer yours", "#banner")
    for step in range(22):  # no longer paused, as the page sees within two seconds
        ada.page.mouse.move(300 + step, 300)
        ada.page.wait_for_timeout(100)
    ada.page.get_by_text("Leave them and go on").click()
    ada.sees("All done, thank you", "#end")
    assert round_.answer_facts("a")["annotator"] == "Bob"
    assert all("409" in complaint for complaint in ada.complaints)
    ada.complaints.clear()


def test_signing_out_asks_and_another_name_gets_a_page_of_its_own(visit):
    round_, server, person = visit([points("a", (1, 1), (2, 2)), points("b", (3, 3))])
    ada = person("Ada")
    name = ada.page.locator("#annotator")
    ada.sees("Point 1 of 2")
    ada.press("2")
    ada.saved()
    ada.context.clear_cookies()
    ada.press("4")
    ada.page.fill("#name", "Bob")
    ada.press("Enter")
    expect(name).to_have_text("Bob")
    expect(ada.page.locator("#image")).to_have_text("b")
    ada.saved()
    name.click()
    ada.page.get_by_text("Not yet").click()
    ada.press("1")
    ada.sees("All done, thank you", "#end")
    name.click()
    ada.page.locator("#confirm [value=yes]").click()
    ada.sees("open the link again", "#token-row")
    ada.page.get_by_label("Name").fill("Ada")
    ada.page.get_by_label("Token or password").fill(server.url.partition("token=")[2])
    ada.press("Enter")
    ada.sees("All done, thank you", "#end")  # with what had waited for Ada
    expect(name).to_have_text("Ada")
    name.click()
    ada.page.locator("#confirm [value=yes]").click()
    ada.sees("open the link again", "#token-row")
    ada.page.goto(server.url)  # in the same tab
    expect(ada.page.locator("#token-row")).to_be_hidden()
    ada.press("Enter")
    ada.sees("All done, thank you", "#end")
    assert labels(round_, "a")[[1, 2], [1, 2]].tolist() == [ROAD, CAR]
    assert round_.answer_facts("a")["annotator"] == "Ada"
    assert round_.answer_facts("b")["annotator"] == "Bob"
    assert all("401" in complaint for complaint in ada.complaints)
    ada.complaints.clear()


def test_one_person_in_two_tabs_is_told_so(visit):
    round_, server, person = visit([points("a", (1, 1), (2, 2)), points("b", (3, 3))])
    ada = person("Ada")
    ada.sees("Point 1 of 2")
    tab = ada.context.new_page()
    tab.goto(server.url.partition("#")[0])
    expect(tab.locator("#question")).to_contain_text("Point 1 of 2")
    ada.press("1", "1")
    expect(ada.page.locator("#image")).to_have_text("b")
    tab.keyboard.press("4")
    expect(tab.locator("#banner")).to_contain_text("You have finished this image already")
    tab.get_by_text("Leave them and go on").click()
    expect(tab.locator("#image")).to_have_text("b")
    assert (labels(round_, "a") == SKY).sum() == 2


def test_hostile_names_are_only_text(visit):
    evil = "<img src=x onerror=document.title='hacked'>"
    table = ClassTable("evil", (evil, "road"), TABLE.colors[:2], (0, 1), (255,), "tests")
    round_, _, person = visit([points(evil.replace("/", ""), (1, 1), (2, 2), guess=0)], table)
    eve = person(f"Eve {evil[:40]}>")
    eve.sees("Point 1 of 2")
    assert eve.page.locator("#image").text_content() == evil
    assert eve.page.locator("#classes .name").first.text_content() == evil
    eve.press("?", "Escape", "Enter", "Enter")
    eve.sees("All done, thank you", "#end")
    assert eve.page.locator("img").count() == 0
    assert "hacked" not in eve.page.title().split("onerror")[0]
    assert len(round_.answered()) == 1


def test_photos_that_cannot_be_shown_are_left_out_until_they_are_mended(visit):
    round_, _, person = visit([points(name, (1, 1)) for name in "abcd"])
    photos = {name: round_.image_path(name) for name in "abc"}
    whole = {name: photo.read_bytes() for name, photo in photos.items()}
    photos["a"].write_bytes(whole["a"][:40])
    photos["b"].unlink()
    ada = person()
    expect(ada.page.locator("#image")).to_have_text("c")
    photos["c"].unlink()  # after it was handed out
    ada.page.reload()
    expect(ada.page.locator("#image")).to_have_text("d")
    ada.press("1")
    ada.sees("Training waits for 3 images of which a file cannot be read", "#end")
    ada.sees("a.jpg is no readable picture", "#end")
    ada.sees("there is no picture of b", "#end")
    for name, photo in photos.items():
        photo.write_bytes(whole[name])
    for name in "abc":
        expect(ada.page.locator("#image")).to_have_text(name)
        ada.press("2")
    ada.sees("All done, thank you", "#end")
    assert sorted(round_.answered()) == list("abcd")


def test_long_names_push_nothing_out_of_the_window(visit):
    _, _, person = visit([points("frankfurt_000001_" * 6, (1, 1), (2, 2), (3, 3))])
    ada = person("Prof. Dr. Ada Lovelace, Countess, of Ockham Park in Surrey", viewport=SMALL)
    ada.sees("Point 1 of 3")
    ada.context.set_offline(True)
    ada.press("1", "2")
    ada.sees("2 answers waiting: offline", "#bar")
    for part in ("#side", "#help-button", "#connection span"):
        place = ada.page.locator(part)
        assert place.evaluate("e => e.getBoundingClientRect().right") <= SMALL["width"]
        assert place.evaluate("e => e.scrollWidth <= e.clientWidth || !e.clientWidth")
    ada.page.set_viewport_size({"width": 853, "height": 480})
    right = ada.page.evaluate(
        """() => {
          const text = document.querySelector("#connection span");
          text.textContent = "12 answers waiting: the server's disk is full";
          return document.getElementById("help-button").getBoundingClientRect().right;
        }"""
    )
    assert right <= 853
    ada.context.set_offline(False)
    ada.saved()


def test_review_by_a_second_person(visit):
    round_, _, person = visit([points("a", (1, 1), (2, 2), (3, 3))])
    ada = person("Ada")
    ada.sees("Point 1 of 3")
    ada.press("1", "2", "u")
    ada.sees("All done, thank you", "#end")
    bob = person("Bob")
    bob.page.get_by_text("Review 1 image").click()
    bob.sees("sky")
    bob.press("Enter", "4", "Enter")
    bob.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "a")[[1, 2, 3], [1, 2, 3]], [SKY, CAR, VOID])
    assert round_.answer_facts("a")["reviewer"] == "Bob"


def test_next_round_opens_by_itself(visit, tmp_path):
    round_, _, person = visit([points("a", (1, 1))])
    ada = person()
    ada.sees("Point 1 of 1")
    ada.press("1")
    ada.sees("All done, thank you", "#end")
    round_.close()
    open_round(tmp_path, [points("c", (5, 5))], number=2)
    ada.sees("Point 1 of 1")
    expect(ada.page.locator("#round")).to_have_text("Round 2")


def test_classes_by_name_mouse_and_colour(visit):
    round_, _, person = visit([points("a", (1, 1), (2, 2))])
    ada = person()
    ada.sees("Point 1 of 2")
    ada.press("/")
    ada.page.keyboard.type("tre")
    ada.press("Enter")
    ada.sees("Point 2 of 2")
    swatch = ada.page.locator("#classes .swatch").first
    before = swatch.evaluate("e => e.style.backgroundColor")
    ada.page.get_by_text("View").click()
    ada.page.get_by_label("Colour-blind-safe colours").check()
    assert (
        ada.page.locator("#classes .swatch").first.evaluate("e => e.style.backgroundColor")
        != before
    )
    ada.page.locator("#classes .choose").nth(3).click()
    ada.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "a")[[1, 2], [1, 2]], [TREE, CAR])


def test_forty_long_class_names_can_be_told_apart(visit):
    names = tuple(f"fine-grained subclass number {i}" for i in range(40))
    colors = tuple((i, 2 * i, 3 * i) for i in range(40))
    table = ClassTable("long", names, colors, tuple(range(40)), (255,), "tests")
    _, _, person = visit([points("a", (1, 1), (2, 2), guess=39)], table)
    ada = person(viewport=SMALL)
    ada.sees("Point 1 of 2")
    cut = "all => all.filter(e => e.scrollHeight > e.clientHeight + 1).length"
    assert ada.page.locator("#classes .name, .chip .name").evaluate_all(cut) == 0
    expect(ada.page.locator("#classes .suggested")).to_be_in_viewport()
    right = "e => e.getBoundingClientRect().right"
    chip, card = (ada.page.locator(e).evaluate(right) for e in ("#question .chip", "#question"))
    assert chip <= card
    ada.press("1", "ArrowLeft")
    expect(ada.page.locator("#classes .chosen")).to_be_in_viewport()


def test_keys_and_colours_for_any_number_of_classes(visit):
    _, _, person = visit([points("a", (1, 1))])
    ada = person()
    found = ada.page.evaluate(
        """async () => {
          const { classKeys } = await import("/static/keys.js");
          const { safeColors } = await import("/static/colors.js");
          const names = Array.from({ length: 254 }, (_, i) => `class ${i}`);
          return { keys: classKeys(names), colors: safeColors(254).map(String) };
        }"""
    )
    parts = ada.page.evaluate(
        """async () => {
          const { byLines } = await import("/static/parts.js");
          const rect = { top: 0, left: 0, bottom: 4, right: 4 };
          const ids = new Int32Array(16);
          const work = { ids, width: 4, rect: () => rect, inside: () => () => true };
          const line = [{ x: -1, y: 1.5 }, { x: 5, y: 1.5 }];
          return byLines(work, 0, [line]).map(({ size }) => size);
        }"""
    )
    assert parts == [12, 4]  # a line through pixels' middles makes two parts, not three
    keys = [key for key in found["keys"] if key]
    assert len(set(keys)) == len(keys) >= 30
    assert not {key for key in keys if re.fullmatch("[bcefghikpsuvx]", key)}
    assert len(set(found["colors"])) == 254


def test_the_brush_has_keys_on_every_keyboard(visit):
    _, _, person = visit([full("a")])
    ada = person()
    expect(ada.page.locator("#image")).to_have_text("a")
    number = ada.page.locator("#question .number")

    def german(key, code):
        """Types a sign with AltGr, which Windows reports as Ctrl and Alt too."""
        ada.page.evaluate(
            """([key, code]) => document.getElementById("crop").dispatchEvent(
                 new KeyboardEvent("keydown", { key, code, bubbles: true, cancelable: true,
                   modifierAltGraph: true, ctrlKey: true, altKey: true }))""",
            [key, code],
        )

    expect(number).to_have_text("24 px")
    german("[", "Digit8")
    expect(number).to_have_text("19 px")
    german("]", "Digit9")
    expect(number).to_have_text("23 px")
    expect(ada.page.locator("#question strong")).to_have_text("sky")  # no class was chosen
    ada.press("Shift+ArrowDown")
    expect(number).to_have_text("18 px")
    ada.press("Shift+ArrowUp")
    expect(number).to_have_text("22 px")
    ada.press("?")
    ada.sees("Shift ↑", "#help")
    ada.press("Escape")

    mouse, keyboard = ada.page.mouse, ada.page.keyboard
    scale = "document.getElementById('crop').view.scale"
    before = ada.page.evaluate(scale)
    mouse.move(*ada.place(50, 30))
    for key in ("Control", "Shift"):  # Control is how a trackpad's pinch arrives: it zooms
        keyboard.down(key)
        mouse.wheel(0, -100)
        keyboard.up(key)
    expect(number).to_have_text("26 px")
    assert ada.page.evaluate(scale) > 1.5 * before
    ada.page.get_by_label("Brush size").click()  # takes the focus, and the arrows only
    keyboard.down("Space")
    ada.drag((40, 30), (60, 30))
    keyboard.down("Shift")
    keyboard.up("Space")
    keyboard.up("Shift")
    expect(ada.page.locator("#items")).to_have_text("0 % labelled")
    ada.drag((40, 30), (60, 30))
    expect(ada.page.locator("#items")).not_to_have_text("0 % labelled")


@pytest.mark.parametrize("kind", [full("a"), mask("a", (2, 2, 30, 40, ROAD))], ids=["full", "mask"])
def test_small_windows_keep_all_in_reach(visit, kind):
    _, _, person = visit([kind])
    ada = person()
    last = ada.page.locator("#question .actions button").last
    for width, height in ((1280, 560), (853, 480), (683, 384), (400, 720)):
        ada.page.set_viewport_size({"width": width, "height": height})
        expect(last).to_be_in_viewport(ratio=1)
        assert ada.page.locator("#crop").evaluate("e => e.clientHeight") >= 100
        ada.page.locator("#tools button").last.scroll_into_view_if_needed()
        expect(ada.page.locator("#tools button").last).to_be_in_viewport(ratio=1)


def test_zoom_and_place_outlast_a_change_of_layout_and_looks(visit):
    query = mask("a", (2, 2, 30, 40, ROAD), (40, 2, 60, 30, SKY))
    round_, _, person = visit([query])
    ada = person()
    ada.sees("Piece 1 of 2")

    def view():
        read = "(({ x, y, scale }) => ({ x, y, scale }))(document.getElementById('crop').view)"
        ada.page.wait_for_timeout(100)  # until a change of size has been seen
        return ada.page.evaluate(read)

    fitted = view()
    ada.page.mouse.move(*ada.place(10, 10))
    ada.page.mouse.wheel(0, -300)
    zoomed = view()
    assert zoomed["scale"] > 1.5 * fitted["scale"]
    height = "document.getElementById('crop').clientHeight"
    before = ada.page.evaluate(height)
    told = "import('/static/dom.js').then((dom) => dom.banner('lost', 'Wait. '.repeat(40)))"
    ada.page.evaluate(told)
    ada.sees("Wait.", "#banner")
    assert ada.page.evaluate(height) == before  # it floats
    ada.page.set_viewport_size({"width": 1000, "height": 600})
    ada.page.locator("#classes .eye").first.click()
    ada.page.get_by_text("View").click()
    ada.page.get_by_label("Labels").click()
    ada.press("g", "g")
    assert view() == zoomed
    ada.page.get_by_label("Colour-blind-safe colours").check()
    ada.press("Enter")  # goes to the image: a checkbox takes none
    ada.sees("Piece 2 of 2")
    fitted = view()["scale"]
    ada.page.set_viewport_size({"width": 1400, "height": 900})
    assert view()["scale"] > fitted
    ada.press("b", "4", *["["] * 8)
    x, y = ada.place(10, 50)
    ada.page.mouse.move(x, y)
    ada.page.mouse.down()
    ada.page.set_viewport_size({"width": 1300, "height": 700})
    view()
    ada.page.mouse.move(x + 1, y)  # a stroke in hand goes on where it is
    ada.page.mouse.up()
    ada.press("Control+Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    rows, columns = np.nonzero(labels(round_, "a") == CAR)
    assert rows.size and np.ptp(rows) < 6 and np.ptp(columns) < 6


def test_two_fingers_move_and_zoom_without_painting(visit):
    round_, _, person = visit([full("a")])
    ada = person(has_touch=True)
    expect(ada.page.locator("#image")).to_have_text("a")
    touch = ada.context.new_cdp_session(ada.page)

    def fingers(kind, *places):
        at = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    def pinch(*third):
        fingers("touchStart", (400, 400))
        fingers("touchMove", (405, 400))
        fingers("touchStart", (405, 400), (500, 400))
        fingers("touchStart", (405, 400), (500, 400), *third)
        fingers("touchMove", (350, 400), (600, 400), *third)
        fingers("touchMove", (300, 400), (700, 400), *third)
        fingers("touchEnd")

    def pen(kind, *place):
        x, y = ada.place(*place)
        touch.send(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "pointerType": "pen"},
        )

    scale = "document.getElementById('crop').view.scale"
    before = ada.page.evaluate(scale)
    pinch()
    assert ada.page.evaluate(scale) > 1.5 * before
    for tool in "bfp":
        ada.press(tool)
        pinch((450, 300))
    ada.press("Enter")
    ada.sees("no suggestion on show", "body")  # nor a corner of a polygon
    expect(ada.page.locator("#items")).to_have_text("0 % labelled")
    ada.press("b", "v")
    fingers("touchStart", (400, 400))
    fingers("touchMove", (450, 420))
    fingers("touchEnd")
    expect(ada.page.locator("#items")).not_to_have_text("0 % labelled")
    ada.press("Control+z", "2")
    pen("mousePressed", 20, 50)
    pen("mouseMoved", 40, 50)
    fingers("touchStart", (600, 300))  # a hand that rests
    pen("mouseMoved", 80, 50)
    fingers("touchEnd")
    pen("mouseReleased", 80, 50)
    ada.press("Control+Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    answer = labels(round_, "a")
    assert (answer[50, 20:80] == ROAD).all() and (answer[:30] == VOID).all()


def test_a_frayed_piece_of_half_a_million_pixels(visit):
    rng = np.random.default_rng(0)
    guess = np.where(rng.random((1024, 1024)) < 0.5, VOID, ROAD).astype(np.uint8)
    guess[1::2] = np.where(rng.random((512, 1024)) < 0.5, ROAD, TREE)  # all hangs together
    round_, _, person = visit([Query("a", guess, "mask", np.zeros((0, 2), int))])
    ada = person()
    ada.sees("Piece 1 of 1")
    ada.press("x")
    ada.drag((-5, 500), (1030, 520))
    ada.sees("part 1 of 2")
    ada.press("Escape", "x", "x")
    ada.sees("part 1 of 2")
    ada.press("Enter", "Enter")
    ada.sees("All done, thank you", "#end")
    np.testing.assert_array_equal(labels(round_, "a"), guess)


def test_thousands_of_pieces(visit):
    shape = (1024, 2048)
    rows, columns = np.meshgrid(np.arange(4, 1020, 16), np.arange(4, 2040, 48), indexing="ij")
    boxes = [
        (r, c, r + 4, c + 4, (r + c) % 4) for r, c in zip(rows.flat, columns.flat, strict=True)
    ]
    round_, _, person = visit([mask("a", *boxes, shape=shape)])
    ada = person()
    ada.sees(f"Piece 1 of {len(boxes)}")
    for number in range(2, 7):
        ada.press("2")
        ada.sees(f"Piece {number} of {len(boxes)}")
    ada.press("b", "3")
    ada.drag((0, 0), (200, 6))
    ada.press("Enter")
    ada.press("Shift+Enter")
    ada.page.get_by_text("Take them").click()
    ada.sees("All done, thank you", "#end")
    answer = labels(round_, "a")
    assert (answer != VOID).sum() <= 16 * len(boxes)
    assert (answer[:8, :220] == ROAD).sum() == 5 * 16
