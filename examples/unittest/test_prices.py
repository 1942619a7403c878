"""The program of prices.py, tried on a sandbox: run `python -m unittest` in this folder."""

import unittest
from urllib.error import HTTPError

from prices import UnfinishedError, prices

from mockserver.testing import SandboxTestCase


class Prices(SandboxTestCase):
    def test_every_product_has_an_answer(self) -> None:
        found = prices(["a guitar", "an amplifier"], wait=0)

        self.assertEqual(list(found), ["a guitar", "an amplifier"])

    def test_a_product_whose_prompt_failed_is_left_out(self) -> None:
        found = prices(["a guitar", "[mock:fail] a piano"], wait=0)

        self.assertEqual(list(found), ["a guitar"])

    def test_nothing_is_left_when_everything_failed(self) -> None:
        self.assertEqual(prices(["[mock:fail] a piano"], wait=0), {})

    def test_a_batch_that_never_ends_is_given_up(self) -> None:
        with self.assertRaises(UnfinishedError):
            prices(["[mock:hang] a guitar"], looks=5, wait=0)

    def test_no_credits_are_an_error(self) -> None:
        self.sandbox.credits = 0

        with self.assertRaises(HTTPError) as refused:
            prices(["a guitar"], wait=0)

        self.assertEqual(refused.exception.code, 402)
        refused.exception.close()


if __name__ == "__main__":
    unittest.main()
