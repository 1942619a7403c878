"""Prompts of real words: padding would make compression look like a win that it is not."""

import random

_TEXT = """
about after again air all along also always answer any apple around ask autumn away back battery because before best
better between big bike blue board boat book both bottle box bread bridge bright bring brown build bus busy buy
camera car card care carry case chair cheap child choose city clean clear clock close clothes coat coffee cold
colour come compare cook cost country cup cut day deep desk dinner dog door down dream dress drink drive dry each
early earth easy eat end engine enough evening every eye face fall family far farm fast feel few field fill find
fine fire first fish floor flower fly food foot forest free friend from front fruit full game garden gift give glass
go gold good grass great green grow guitar hair half hand happy hard head health hear heart heavy help high hill
holiday home horse hot hotel hour house how ice idea island job keep kitchen know lake lamp land large last late
laugh learn leave left letter light like line listen little live long look lose low lunch machine mail make many map
market meal mean meet middle milk minute money month moon more morning mother mountain move much music name near
need never new news next night north nose note now ocean offer office often oil old open orange order other out over
page paint paper park part party pay people phone piano picture place plan plant plate play point poor pretty price
push quick quiet rain read ready red rest rice rich right ring river road rock room round run safe salt same sand
save say school sea season seat see sell send shade shape share shoe shop short show side sing sister sit size skin
sky sleep slow small smell smile snow soft some song soon sound south speak spring stand star start station stay
step still stone stop store storm story street strong study sugar summer sun sure sweet swim table take talk tall
tea teach team tell test thank thick thin think time tool top town toy train travel tree trip true try turn under up
use very village visit voice wait walk wall want warm wash watch water way wear weather week well west what wheel
when where white who why wide wild will wind window winter wish wood word work world write yard year yellow young
"""
WORDS = _TEXT.split()


def prompt(number: int, length: int) -> str:
    """A prompt of exactly so many characters, unlike its neighbours, and the same on every run."""
    chance = random.Random(number)
    text = f"question {number}:"
    while len(text) < length:
        text += " " + chance.choice(WORDS)
    return text[:length]
