"""Invented words of receipts, in ASCII: every face has the glyphs."""

STORE_FIRST = (
    "Lantern", "Northgate", "Harbour", "Maple", "Sunrise", "Kopi", "Velvet", "Granite", "Juniper",
    "Orchid", "Falcon", "Copper", "Willow", "Marina", "Cedar", "Saffron", "Atlas", "Bluebird", "Kiwi",
    "Pioneer", "Garnet", "Topaz", "Riverside", "Meadow", "Ember",
)  # fmt: skip
STORE_SECOND = (
    "Market", "Trading", "Bakery", "Hardware", "Kitchen", "Grocer", "Cafe", "Bistro", "Stationery",
    "Pharmacy", "Electrical", "Books", "Mini Mart", "Noodle House", "Super Store", "Enterprise",
)  # fmt: skip
STREETS = (
    "Jalan Melati 4", "Station Road", "Hill Street", "Market Lane", "Old Mill Road", "Jalan Besar 12/3",
    "Bridge Avenue", "Kings Parade", "Taman Indah", "Church Walk", "Harbour View", "Quarry Crescent",
)  # fmt: skip
CITIES = (
    "Kuala Besar", "Port Ashby", "Newfield", "Johor Lama", "Eastbridge", "Lower Marsh", "Sungai Tua",
    "Westhaven", "Bukit Hijau", "Thornbury",
)  # fmt: skip
DOCUMENTS = (
    "TAX INVOICE",
    "RECEIPT",
    "CASH SALES",
    "SIMPLIFIED TAX INVOICE",
    "INVOICE",
    "CASH RECEIPT",
    "Guest Check",
)
PEOPLE = ("admin", "USER", "Mei", "Arif", "Sara", "Jonas", "Priya", "Tom", "STAFF02", "Lina")
CURRENCIES = ("RM", "$", "EUR", "USD", "SGD", "CHF")
AMOUNT_TITLES = ("Amount", "Amt", "Price", "TOTAL", "Amt(RM)", "Sum")
ITEMS = (
    "Rice", "Noodle", "Coffee", "Tea", "Milk", "Bread", "Egg", "Butter", "Soap", "Paper", "Bolt",
    "Screw", "Lamp", "Cable", "Socket", "Battery", "Pen", "Notebook", "Glue", "Apple", "Banana",
    "Orange", "Grape", "Tomato", "Onion", "Chicken", "Fish", "Beef", "Tofu", "Soup", "Salad", "Curry",
    "Cake", "Biscuit", "Chips", "Water", "Juice", "Cola", "Iced", "Hot", "Large", "Small", "Organic",
    "Fresh", "White", "Brown", "Red", "Blue", "Mixed", "Fried", "Steamed", "Spicy", "Sweet", "Set",
    "Pack", "Box", "Bottle", "Brush", "Paint", "Tape", "Nail", "Hinge", "Towel", "Shampoo", "Sugar",
    "Salt", "Pepper", "Oil", "Flour", "Cheese", "Yoghurt", "Jam", "Honey",
)  # fmt: skip
SUBTOTALS = (
    "Sub Total", "Subtotal", "Total Excl. Tax", "GST 6%", "VAT 19%", "Service Charge", "Rounding Adj",
    "Discount", "Cash", "CASH", "Change", "Visa", "Total Qty", "Tax", "Net Sales", "Paid", "Balance Due",
)  # fmt: skip
GRAND_TOTALS = ("TOTAL", "Total", "GRAND TOTAL", "Total Sales", "AMOUNT DUE", "Total:", "NETT TOTAL")
GREETINGS = (
    "Thank you. Please come again.", "THANK YOU", "Goods sold are not returnable.", "Have a nice day!",
    "Exchange within 7 days with receipt", "Follow us @ourstore", "See you soon", "Customer copy",
    "*Thank You*", "Served with care", "Keep this receipt for your warranty", "WIFI: guest2468",
)  # fmt: skip
