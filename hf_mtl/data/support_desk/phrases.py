"""The words of the desk: what customers write about, how they found it, and when they want it."""

TOPICS: dict[str, tuple[str, ...]] = {
    "account": (
        "my password",
        "my login",
        "my profile",
        "the verification code",
        "my user name",
        "the sign-in page",
        "my email address",
        "the locked account",
    ),
    "billing": (
        "the invoice",
        "the monthly fee",
        "the charge on my card",
        "my last bill",
        "the payment",
        "the price",
        "the direct debit",
        "the discount code",
    ),
    "delivery": (
        "the parcel",
        "the courier",
        "the shipment",
        "the tracking number",
        "my package",
        "the driver",
        "the delivery date",
        "the shipping address",
    ),
    "returns": (
        "the refund",
        "the return label",
        "the exchange",
        "my money back",
        "the replacement",
        "the return form",
        "the wrong size",
        "the cancelled order",
    ),
    "technical": (
        "the app",
        "the update",
        "the battery",
        "the screen",
        "the error message",
        "the software",
        "the charger",
        "the wifi connection",
    ),
}

SENTIMENTS: dict[str, tuple[str, ...]] = {
    "negative": ("rude", "slow", "awful", "useless", "careless", "terrible", "annoying", "disappointing"),
    "neutral": ("okay", "average", "ordinary", "acceptable", "standard", "so-so", "fair enough", "nothing special"),
    "positive": ("helpful", "friendly", "quick", "excellent", "lovely", "reliable", "pleasant", "great"),
}

URGENCIES: dict[str, float] = {
    "right now": 1.0,
    "immediately": 1.0,
    "within the hour": 0.95,
    "today": 0.9,
    "by tonight": 0.85,
    "tomorrow": 0.75,
    "by Friday": 0.6,
    "this week": 0.55,
    "next week": 0.35,
    "this month": 0.3,
    "next month": 0.15,
    "by the end of the year": 0.1,
    "whenever you have time": 0.05,
    "some day": 0.0,
}
# What is left when the customer rules a time out: not soon is later, and not late is sooner.
RULED_OUT_SOON = 0.15
RULED_OUT_LATE = 0.85

GREETINGS = ("Hello.", "Hi.", "Hi there.", "Good morning.", "Dear support team.", "Hey.")
CLOSINGS = ("Thanks.", "Thank you!", "Kind regards.", "Best wishes.", "Cheers!", "I look forward to your reply.")
ASIDES = (
    "I ordered online.",
    "I am a new customer.",
    "This is my second message.",
    "I bought it as a gift.",
    "I live abroad.",
    "My neighbour told me to write.",
    "I read the manual twice.",
    "I spoke to Anna on the phone.",
    "We moved house in spring.",
    "I have used your shop for years.",
)
